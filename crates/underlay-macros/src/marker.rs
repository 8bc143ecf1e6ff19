//! The marker type beside a resource's static: what other attributes see of it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::static_item::{StaticItem, cfgs};

/// An uninhabited type of the static's name and visibility.
pub(crate) fn marker(item: &StaticItem) -> TokenStream {
    let StaticItem {
        attrs, vis, ident, ..
    } = item;
    let cfgs = cfgs(attrs);
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
        #vis enum #ident {}
    }
}
