//! The rule that declarations stand at module level, which only name resolution can check.
//!
//! Beside the declaration stands a marker function. Inside a block, `use self::*` brings the items of the enclosing
//! *module*: it finds the marker only if the declaration is one of them. Otherwise the block's own function of the
//! same name is called, which panics while compiling. A glob import in the inner block is looked up before the outer
//! block; that a `mod` inside a function passes is a limit of the technique.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use crate::source;

/// The check of one declaration.
pub(crate) struct ModuleLevel {
    /// Goes beside the declaration.
    pub(crate) marker: TokenStream,
    /// Goes into a constant's block beside the declaration.
    pub(crate) fallback: TokenStream,
    /// Goes into a block in that block, after `use self::*`.
    pub(crate) check: TokenStream,
}

impl ModuleLevel {
    /// `what` is the declaration as the error names it: ``` `#[topic] static CARTS` ```.
    pub(crate) fn new(ident: &Ident, what: &str, keyword: &str) -> Self {
        let (_, line, column) = source::place(ident.span());
        let span = ident.span();
        let name = format_ident!("__underlay_{}_{}_{}", ident, line, column, span = span);
        let places = match keyword {
            "fn" => "function, closure, `impl` or block",
            _ => "function, closure or block",
        };
        let text = format!(
            "{what} must be declared at module level: move it out of the enclosing {places}"
        );
        let call = quote_spanned!(span=> #name());
        Self {
            marker: quote! {
                #[doc(hidden)]
                #[allow(dead_code, non_snake_case)]
                const fn #name() {}
            },
            fallback: quote! {
                #[allow(dead_code, non_snake_case)]
                #[track_caller]
                const fn #name() {
                    ::underlay::__private::core::panic!(#text)
                }
            },
            check: quote!(const _: () = #call;),
        }
    }
}
