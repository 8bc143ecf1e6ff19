//! What every declaration leaves beside its static or function: the module-level check, the fragment in the link
//! section, and the element of the inventory.
//!
//! It does not know the kinds of declaration.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Attribute;
use underlay_model::Declaration;

use crate::errors::Errors;
use crate::fragment::{self, Holes};
use crate::module_level::ModuleLevel;
use crate::{source, static_item};

/// The expansion of one attribute.
pub(crate) struct Expansion<'a> {
    /// The attribute's name.
    pub(crate) attribute: &'static str,
    /// `static` or `fn`; empty for `service!`.
    pub(crate) keyword: &'static str,
    /// The static or function.
    pub(crate) ident: &'a Ident,
    /// Its attributes.
    pub(crate) attrs: &'a [Attribute],
    /// The item itself, and what stands beside it in the module. With attributes of its own.
    pub(crate) items: TokenStream,
    /// Stands for the function where the block cannot see it, in an `impl`, so that the check alone tells.
    pub(crate) fallback: TokenStream,
    /// What stands in the hidden constant's block.
    pub(crate) block: TokenStream,
    /// What is registered; nothing if there are errors.
    pub(crate) registration: Option<Registration>,
}

/// The declaration, for the model and for the inventory.
pub(crate) struct Registration {
    /// What the model says of it; nothing for what only the runtime calls.
    pub(crate) declaration: Option<Declaration>,
    pub(crate) holes: Holes,
    /// The `Item` of the inventory.
    pub(crate) item: TokenStream,
}

impl Expansion<'_> {
    /// All tokens, with the errors.
    pub(crate) fn into_tokens(self, errors: &Errors) -> TokenStream {
        let Self {
            attribute,
            keyword,
            ident,
            attrs,
            items,
            fallback,
            block,
            registration,
        } = self;
        let cfgs = static_item::cfgs(attrs);
        let what = match keyword {
            "" => format!("`{attribute}`"),
            _ => format!("`#[{attribute}] {keyword} {ident}`"),
        };
        let level = ModuleLevel::new(ident, &what, keyword);
        let (marker, panicking, check) = (level.marker, level.fallback, level.check);
        let errors = errors.to_compile_errors();
        let registration = registration.map(Registration::into_tokens);
        // A function may stand in an `impl`, where a constant needs a name; the check inside it then says what is wrong.
        let constant = match keyword {
            "fn" => {
                let (_, line, column) = source::place(ident.span());
                format_ident!("__UNDERLAY_{}_{}_{}", ident, line, column)
            }
            _ => format_ident!("_"),
        };
        let (inner, outer) = match keyword {
            "fn" => (quote!(#block #registration), fallback),
            _ => (TokenStream::new(), quote!(#block #registration)),
        };
        quote! {
            #errors
            #items
            #(#cfgs)*
            #marker
            #(#cfgs)*
            #[doc(hidden)]
            #[allow(dead_code, non_upper_case_globals)]
            const #constant: () = {
                #panicking
                #outer
                {
                    #[allow(unused_imports)]
                    use self::*;
                    #check
                    #inner
                }
            };
        }
    }
}

impl Registration {
    fn into_tokens(self) -> TokenStream {
        let item = self.item;
        let (fragment, value) = match &self.declaration {
            None => (TokenStream::new(), quote!(&[])),
            Some(declaration) => (
                Self::fragment(declaration, &self.holes),
                quote!(&__FRAGMENT),
            ),
        };
        quote! {
            #fragment

            #[::underlay::__private::linkme::distributed_slice(::underlay::__private::DECLARATIONS)]
            #[linkme(crate = ::underlay::__private::linkme)]
            static __DECLARATION: ::underlay::__private::Declaration = ::underlay::__private::Declaration {
                fragment: #value,
                item: ::underlay::__private::Item::#item,
            };
        }
    }

    /// The fragment of the model, in the link section.
    fn fragment(declaration: &Declaration, holes: &Holes) -> TokenStream {
        let parts = fragment::parts(declaration, holes);
        quote! {
            const __PARTS: &[&::underlay::__private::core::primitive::str] = &[#(#parts),*];

            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__underlay"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".undrlay"))]
            static __FRAGMENT: [::underlay::__private::core::primitive::u8; ::underlay::__private::fragment_len(__PARTS)] =
                ::underlay::__private::fragment(__PARTS);
        }
    }
}
