//! The function that `#[subscription]`, `#[cron]` and `#[api]` stand on.
//!
//! It knows what all three demand of a function, not what each does with it.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{FnArg, ItemFn, PatType, ReturnType, Type};
use underlay_model::name;

use crate::errors::Errors;
use crate::static_item;

/// A free `async fn`.
pub(crate) struct Handler {
    pub(crate) function: ItemFn,
}

impl Handler {
    /// Reads the item under `#[attribute]`; `example` is a signature that it may have.
    ///
    /// What is no function, or one that cannot be free, comes back as it was written, with the error.
    pub(crate) fn parse(
        attribute: &str,
        example: &str,
        item: TokenStream,
        errors: &mut Errors,
    ) -> Result<Self, TokenStream> {
        let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
            // Not the attributes: the first token that tells what it is.
            let at = syn::parse2::<syn::Item>(item.clone())
                .ok()
                .map(without_attributes);
            errors.push(
                at.and_then(|it| it.into_iter().next())
                    .map_or(item.clone(), |it| quote!(#it)),
                format!("`#[{attribute}]` goes on an async function: `{example}`"),
            );
            let errors = errors.to_compile_errors();
            return Err(quote!(#errors #item));
        };
        let sig = &function.sig;
        if let Some(receiver) = sig.receiver() {
            errors.push(
                receiver,
                format!("a `#[{attribute}]` handler is a free function, without `self`: move it out of the `impl`"),
            );
            let errors = errors.to_compile_errors();
            return Err(quote!(#errors #item));
        }
        if sig.asyncness.is_none() {
            errors.push(
                sig.fn_token,
                format!("a `#[{attribute}]` handler is `async`: `{example}`"),
            );
        }
        let plain = format!("a `#[{attribute}]` handler is a plain function; remove this");
        if let syn::Safety::Unsafe(keyword) = sig.safety {
            errors.push(keyword, &plain);
        }
        if let Some(abi) = &sig.abi {
            errors.push(abi, &plain);
        }
        if !sig.generics.params.is_empty() {
            let generics = &sig.generics;
            errors.push(
                generics,
                format!("a `#[{attribute}]` handler cannot be generic: Underlay would not know with which types to call it"),
            );
        }
        for argument in typed_arguments(&function) {
            if let Type::ImplTrait(ty) = &*argument.ty {
                errors.push(
                    ty,
                    format!("a `#[{attribute}]` handler takes named types, not `impl Trait`"),
                );
            }
        }
        Ok(Self { function })
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.function.sig.ident
    }

    pub(crate) fn arguments(&self) -> Vec<&PatType> {
        typed_arguments(&self.function).collect()
    }

    /// The return type, as written.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.function.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(ty),
        }
    }

    /// That the handler returns something; whether it is a `Result` is checked by the compiler.
    pub(crate) fn require_output(&self, attribute: &str, errors: &mut Errors) {
        if self.output().is_none() {
            let ident = self.ident();
            errors.push(
                ident,
                format!("a `#[{attribute}]` handler returns `Result<(), E>`, so that Underlay knows whether it succeeded"),
            );
        }
    }

    /// A `__run` without arguments that calls the handler, whatever its error type is.
    pub(crate) fn run_without_arguments(&self, output: &Type) -> TokenStream {
        let ident = self.ident();
        let outcome = static_item::spanned_as(
            output,
            quote!(<#output as ::underlay::__private::HandlerOutcome>::into_outcome),
        );
        quote! {
            fn __run() -> ::underlay::__private::HandlerFuture {
                ::underlay::__private::std::boxed::Box::pin(async move { #outcome(#ident().await) })
            }
        }
    }

    /// Stands for a handler without arguments where it cannot be seen.
    pub(crate) fn fallback_without_arguments(&self) -> TokenStream {
        let ident = self.ident();
        let fallback = self.output().map(|output| {
            quote! {
                fn #ident() -> ::underlay::__private::core::future::Ready<#output> {
                    ::underlay::__private::core::unreachable!()
                }
            }
        });
        fallback.unwrap_or_default()
    }

    /// The function's name in kebab-case.
    pub(crate) fn kebab_name(&self) -> String {
        name::from_ident(&self.ident().to_string())
    }

    /// The text of the doc comment.
    pub(crate) fn doc(&self) -> String {
        static_item::doc(&self.function.attrs)
    }
}

fn typed_arguments(function: &ItemFn) -> impl Iterator<Item = &PatType> {
    function.sig.inputs.iter().filter_map(|it| match it {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })
}

fn without_attributes(item: syn::Item) -> TokenStream {
    let tokens = quote!(#item);
    let mut rest = tokens.into_iter().peekable();
    while matches!(rest.peek(), Some(proc_macro2::TokenTree::Punct(punct)) if punct.as_char() == '#')
    {
        rest.next();
        rest.next();
    }
    rest.collect()
}
