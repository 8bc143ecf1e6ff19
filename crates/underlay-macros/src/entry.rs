//! `#[underlay::main]` and `#[underlay::test]`: an `async fn` becomes a function that runs it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;
use underlay_model::Declaration;
use underlay_model::model::Application;

use crate::errors::Errors;
use crate::expansion::{Expansion, Registration};
use crate::fragment::Holes;
use crate::static_item::{cfgs, projection};

pub(crate) fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    let example = "async fn main() -> underlay::Result<()>";
    let mut errors = Errors::default();
    let Some(function) = parse(
        "underlay::main",
        example,
        options,
        item.clone(),
        &mut errors,
    ) else {
        let errors = errors.to_compile_errors();
        return quote!(#errors #item);
    };
    let ident = &function.sig.ident;
    if ident != "main" {
        errors.push(
            ident,
            format!("`#[underlay::main]` goes on the program's `main`: `{example}`"),
        );
    }
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let output = &sig.output;
    let items = if errors.is_empty() {
        let exit_code = match output {
            syn::ReturnType::Default => quote!(<() as ::underlay::__private::Outcome>::exit_code),
            syn::ReturnType::Type(_, ty) => projection(ty, quote!(Outcome), "exit_code"),
        };
        quote! {
            #(#attrs)*
            #vis fn #ident() -> ::underlay::__private::std::process::ExitCode {
                async fn body() #output #block
                ::underlay::__private::main(async || #exit_code(body().await))
            }
        }
    } else {
        let cfgs = cfgs(attrs);
        quote! {
            #(#cfgs)*
            #vis fn #ident() {}
        }
    };
    let registration = errors.is_empty().then(|| {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let declaration = Declaration::Application(Application {
            name: variable("CARGO_PKG_NAME"),
            version: variable("CARGO_PKG_VERSION"),
        });
        Registration {
            declaration: Some(declaration),
            holes: Holes::default(),
            item: quote!(Described),
        }
    });
    let block = TokenStream::new();
    Expansion {
        attribute: "underlay::main",
        keyword: "fn",
        ident,
        attrs,
        items,
        fallback: TokenStream::new(),
        block,
        registration,
    }
    .into_tokens(&errors)
}

pub(crate) fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    let example = "async fn places_an_order()";
    let mut errors = Errors::default();
    let Some(function) = parse(
        "underlay::test",
        example,
        options,
        item.clone(),
        &mut errors,
    ) else {
        let errors = errors.to_compile_errors();
        return quote!(#errors #item);
    };
    if let Some(second) = function.attrs.iter().find(|it| {
        it.path()
            .segments
            .last()
            .is_some_and(|it| it.ident == "test")
    }) {
        errors.push(
            second,
            "`#[underlay::test]` makes it a test already; remove this",
        );
    }
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
        ..
    } = &function;
    let (ident, output) = (&sig.ident, &sig.output);
    if !errors.is_empty() {
        let errors = errors.to_compile_errors();
        let cfgs = cfgs(attrs);
        return quote! {
            #errors
            #(#cfgs)*
            #[allow(dead_code)]
            #vis fn #ident() {}
        };
    }
    let name = ident.to_string();
    quote! {
        #[::underlay::__private::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #ident() #output {
            async fn body() #output #block
            ::underlay::__private::test(::underlay::__private::core::concat!(::underlay::__private::core::module_path!(), "::", #name), body)
        }
    }
}

/// An `async fn` without parameters.
fn parse(
    attribute: &str,
    example: &str,
    options: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<ItemFn> {
    if !options.is_empty() {
        errors.push(options, format!("`#[{attribute}]` has no options"));
    }
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        errors.push(
            item.into_iter().next(),
            format!("`#[{attribute}]` goes on an async function: `{example}`"),
        );
        return None;
    };
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        errors.push(
            sig.fn_token,
            format!("`#[{attribute}]` goes on an async function: `{example}`"),
        );
    }
    if !sig.inputs.is_empty() {
        errors.push(
            &sig.inputs,
            format!("`#[{attribute}]` goes on a function without parameters: `{example}`"),
        );
    }
    if !sig.generics.params.is_empty() {
        errors.push(
            &sig.generics,
            format!("`#[{attribute}]` goes on a function that is not generic: `{example}`"),
        );
    }
    Some(function)
}
