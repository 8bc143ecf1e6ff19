//! `#[secret]`: a value that the environment provides and no log shows.

use std::fmt;
use std::str::FromStr;

use crate::handle::Slot;
use crate::{Error, ErrorKind, Result};

/// A declared secret: call it to get its value.
///
/// # Example
///
/// ```
/// use underlay::prelude::*;
///
/// #[secret("StripeSecretKey")]
/// static STRIPE_KEY: Secret;
///
/// fn authorization() -> underlay::Result<String> {
///     Ok(format!("Bearer {}", STRIPE_KEY().expose()?))
/// }
/// # fn main() {}
/// ```
pub type Secret<T = String> = fn() -> SecretValue<T>;

/// A secret's value. Its `Debug` and `Display` show only whether it is set.
pub struct SecretValue<T: 'static = String> {
    name: &'static str,
    value: Option<&'static T>,
}

impl<T> SecretValue<T> {
    /// The value itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the secret is not set. That happens only locally and in tests: an application
    /// that an infra config binds does not start without its secrets.
    pub fn expose(&self) -> Result<&'static T> {
        self.value.ok_or_else(|| {
            Error::new(
                ErrorKind::Configuration,
                format!(
                    "the secret `{0}` is not set: put `{0} = \"…\"` into .underlay/secrets.local.toml \
                     or set the environment variable {0}",
                    self.name
                ),
            )
        })
    }

    /// Whether the secret is set.
    pub fn is_set(&self) -> bool {
        self.value.is_some()
    }
}

impl<T> fmt::Debug for SecretValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_set() { "***" } else { "not set" };
        write!(f, "Secret<{}>({value})", self.name)
    }
}

impl<T> fmt::Display for SecretValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What `#[secret]` keeps behind the function that the static is.
#[doc(hidden)]
pub struct SecretCell<T: 'static> {
    name: &'static str,
    parse: fn(&str) -> Option<T>,
    slot: Slot<Option<T>>,
}

/// A type that a secret's text can be read as.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a secret cannot be read as `{Self}`",
    label = "this type does not implement `FromStr`"
)]
pub trait SecretType: Sized {
    /// The value of a text, if it is one.
    fn parse(text: &str) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr> SecretType for T {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<T: Send + Sync> SecretCell<T> {
    pub const fn __new(name: &'static str, parse: fn(&str) -> Option<T>) -> Self {
        Self {
            name,
            parse,
            slot: Slot::new(),
        }
    }

    pub fn __value(&'static self) -> SecretValue<T> {
        SecretValue {
            name: self.name,
            value: self.slot.get().and_then(Option::as_ref),
        }
    }
}

/// A secret, whatever its type, as `bind` sees it.
#[doc(hidden)]
pub trait BindSecret: Send + Sync {
    /// Gives the secret its text, if there is one.
    ///
    /// # Errors
    ///
    /// A sentence without the value, if the text is not one of the secret's type.
    fn bind(&'static self, text: Option<&str>) -> std::result::Result<(), String>;
}

impl<T: Send + Sync> BindSecret for SecretCell<T> {
    fn bind(&'static self, text: Option<&str>) -> std::result::Result<(), String> {
        let value = match text {
            None => None,
            Some(text) => Some((self.parse)(text).ok_or_else(|| {
                format!(
                    "the value of the secret `{}` is not a `{}`",
                    self.name,
                    std::any::type_name::<T>()
                )
            })?),
        };
        self.slot.bind(value);
        Ok(())
    }
}
