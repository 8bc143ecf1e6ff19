//! All that is wrong with one declaration, so that the compiler shows every mistake at once.
//!
//! It does not know what the mistakes are.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors {
    first: Option<syn::Error>,
}

impl Errors {
    /// An error under all the tokens of `at`.
    pub(crate) fn push(&mut self, at: impl ToTokens, message: impl std::fmt::Display) {
        self.extend(syn::Error::new_spanned(at, message));
    }

    /// An error under one span.
    pub(crate) fn push_span(&mut self, at: Span, message: impl std::fmt::Display) {
        self.extend(syn::Error::new(at, message));
    }

    /// An error that `syn` found.
    pub(crate) fn extend(&mut self, error: syn::Error) {
        match &mut self.first {
            Some(first) => first.combine(error),
            None => self.first = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The errors as `compile_error!` invocations; nothing without errors.
    pub(crate) fn to_compile_errors(&self) -> TokenStream {
        self.first
            .as_ref()
            .map(syn::Error::to_compile_error)
            .unwrap_or_default()
    }
}
