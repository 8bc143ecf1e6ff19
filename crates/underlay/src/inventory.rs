//! The inventory: what the linker collected from every attribute in the binary.
//!
//! Each element holds the same fragment that the link section holds, so the model that the program reports of itself
//! and the one that is read from its file come from one source.

#![expect(
    unsafe_code,
    reason = "linkme declares the slice with a link section; there is no other unsafe code here"
)]

use linkme::distributed_slice;
use underlay_model::model::Application;
use underlay_model::{Model, fragment};

use crate::api::Register;
use crate::bucket::Bucket;
use crate::cache::CacheCluster;
use crate::cron::CronHandler;
#[cfg(feature = "postgres")]
use crate::database::Database;
use crate::secret::BindSecret;
use crate::subscription::Handle;
use crate::task::SeedHandler;
use crate::topic::BindTopic;

/// Every declaration that is linked into this binary.
#[distributed_slice]
pub static DECLARATIONS: [Declaration];

// An empty slice does not link on every platform: https://github.com/dtolnay/linkme/issues/114.
#[distributed_slice(DECLARATIONS)]
static NEVER_EMPTY: Declaration = Declaration {
    fragment: &[],
    item: Item::Described,
};

/// One declaration: its fragment of the model, and what the runtime binds or calls.
pub struct Declaration {
    /// The framed JSON of the declaration; see `underlay_model::fragment`.
    pub fragment: &'static [u8],
    /// The static or function behind it.
    pub item: Item,
}

/// The static or function behind a declaration.
pub enum Item {
    /// Nothing to bind: the fragment says everything.
    Described,
    /// `#[database]`: one that is declared, or a reference to one.
    #[cfg(feature = "postgres")]
    Database(&'static Database),
    /// `#[topic]`.
    Topic(&'static dyn BindTopic),
    /// `#[subscription]`: the handler.
    Subscription(Handle),
    /// `#[cron]`: the handler.
    Cron(CronHandler),
    /// `#[bucket]`.
    Bucket(&'static Bucket),
    /// `#[cache]`.
    Cache(&'static CacheCluster),
    /// `#[secret]`.
    Secret(&'static dyn BindSecret),
    /// `#[underlay::seed]`: the function's path, and the function. The model does not know of it.
    Seed(&'static str, SeedHandler),
    /// `#[api]`: puts the endpoint on a router.
    Endpoint(Register),
}

/// A declaration as the runtime uses it: what the model says of it, with its item.
pub(crate) struct Entry {
    pub(crate) declaration: underlay_model::Declaration,
    pub(crate) item: &'static Item,
}

/// All declarations, in no order.
///
/// # Errors
///
/// One sentence per fragment that cannot be read: the macros and this crate disagree.
pub(crate) fn entries() -> Result<Vec<Entry>, Vec<String>> {
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for Declaration { fragment, item } in DECLARATIONS.iter().filter(|it| !it.fragment.is_empty()) {
        match fragment::parse_section(fragment) {
            Ok(declarations) => {
                entries.extend(
                    declarations
                        .into_iter()
                        .map(|declaration| Entry { declaration, item }),
                );
            }
            Err(errors) => problems.extend(errors),
        }
    }
    if problems.is_empty() {
        Ok(entries)
    } else {
        Err(problems)
    }
}

/// The model of everything that is declared in this binary.
pub(crate) fn model(entries: &[Entry]) -> Model {
    Model::assemble(
        fallback_application(),
        entries.iter().map(|it| it.declaration.clone()).collect(),
    )
}

/// The name of an application without `#[underlay::main]`: its executable's.
fn fallback_application() -> Application {
    let name = std::env::current_exe()
        .ok()
        .and_then(|path| {
            path.file_stem()
                .map(|stem| without_hash(&stem.to_string_lossy()).to_owned())
        })
        .unwrap_or_else(|| "application".to_owned());
    Application {
        name,
        version: String::new(),
    }
}

/// The name of a test binary without the hash that cargo appends: `orders` of `orders-149c6d49b875ee29`.
fn without_hash(name: &str) -> &str {
    let is_hash = |it: &str| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once('-') {
        Some((name, hash)) if !name.is_empty() && is_hash(hash) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_test_binary_is_no_part_of_its_name() {
        for (name, expected) in [
            ("orders-149c6d49b875ee29", "orders"),
            ("order-service-149c6d49b875ee29", "order-service"),
            ("order-service", "order-service"),
            ("orders", "orders"),
            ("-149c6d49b875ee29", "-149c6d49b875ee29"),
        ] {
            assert_eq!(without_hash(name), expected);
        }
    }
}
