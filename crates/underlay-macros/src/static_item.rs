//! The static that a resource attribute stands on: `pub static CARTS: Topic<CartEvent>;`, without a value.
//!
//! It does not know the attributes; it takes their names for the errors.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Token, Type, Visibility};
use underlay_model::name;

use crate::errors::Errors;
use crate::type_text::type_text;

/// A static without a value.
pub(crate) struct StaticItem {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

impl StaticItem {
    /// Reads the item under `#[attribute]`; `example` is a type that it may have.
    ///
    /// What is no static at all comes back as it was written, with the error.
    pub(crate) fn parse(
        attribute: &str,
        example: &str,
        item: TokenStream,
        errors: &mut Errors,
    ) -> Result<Self, TokenStream> {
        let parser = |input: ParseStream<'_>| Self::parse_item(attribute, example, input, errors);
        match parser.parse2(item.clone()) {
            Ok(Some(parsed)) => Ok(parsed),
            Ok(None) => {
                let errors = errors.to_compile_errors();
                Err(quote!(#errors #item))
            }
            Err(error) => {
                let error = error.to_compile_error();
                Err(quote!(#error #item))
            }
        }
    }

    fn parse_item(
        attribute: &str,
        example: &str,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<Option<Self>> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let wanted =
            format!("`#[{attribute}]` goes on a static without a value: `static NAME: {example};`");
        let is_const =
            input.peek(Token![const]) && (input.peek2(syn::Ident) || input.peek2(Token![_]));
        if is_const {
            let keyword: Token![const] = input.parse()?;
            errors.push(keyword, format!("{wanted}; this is a `const`"));
        } else if input.peek(Token![static]) {
            input.parse::<Token![static]>()?;
        } else {
            let found: TokenStream = input.parse()?;
            let first = found.into_iter().next();
            errors.push(first, wanted);
            return Ok(None);
        }
        if let Some(mutability) = input.parse::<Option<Token![mut]>>()? {
            errors.push(
                mutability,
                format!("a `#[{attribute}]` static cannot be `mut`; remove it"),
            );
        }
        let ident: Ident = input.call(syn::ext::IdentExt::parse_any)?;
        input.parse::<Token![:]>()?;
        let ty: Type = input.parse()?;
        if let Some(equals) = input.parse::<Option<Token![=]>>()? {
            let value: Expr = input.parse()?;
            errors.push(
                quote!(#equals #value),
                format!("`#[{attribute}]` gives the static its value; write `static {ident}: {example};`"),
            );
        }
        input.parse::<Token![;]>()?;
        Ok(Some(Self {
            attrs,
            vis,
            ident,
            ty,
        }))
    }

    /// Tells a wrong type, and replaces it by `right`, so that what uses the static as it should be used compiles.
    ///
    /// Types are judged by their names, before the compiler knows what they are: only so is there one error.
    pub(crate) fn require_type(
        &mut self,
        attribute: &str,
        is_right: bool,
        expected: &str,
        right: TokenStream,
        errors: &mut Errors,
    ) {
        if !is_right {
            let found = type_text(&self.ty);
            errors.push(
                &self.ty,
                format!("`#[{attribute}]` needs a static of type {expected}, found `{found}`"),
            );
            self.ty = Type::Verbatim(right);
        }
    }

    /// The name of the static's type: `Topic` of `underlay::Topic<T>`.
    pub(crate) fn type_name(&self) -> String {
        last_segment(&self.ty)
            .map(|it| it.ident.to_string())
            .unwrap_or_default()
    }

    /// The text of the doc comment.
    pub(crate) fn doc(&self) -> String {
        doc(&self.attrs)
    }

    /// The static's name in kebab-case.
    pub(crate) fn kebab_name(&self) -> String {
        name::from_ident(&self.ident.to_string())
    }
}

/// The `#[cfg]` attributes, which everything beside the item must have, too.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs
        .iter()
        .filter(|it| it.path().is_ident("cfg"))
        .collect()
}

/// The text of the doc comments: each line without the space that follows `///`.
pub(crate) fn doc(attrs: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attr in attrs.iter().filter(|it| it.path().is_ident("doc")) {
        if let syn::Meta::NameValue(meta) = &attr.meta
            && let Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &meta.value
        {
            let text = text.value();
            lines.extend(
                text.lines()
                    .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()),
            );
            if text.is_empty() {
                lines.push(String::new());
            }
        }
    }
    crate::fragment::plain(lines.join("\n").trim())
}

/// The last segment of a path type: `Topic` of `underlay::Topic<T>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// The type arguments of a path type.
pub(crate) fn type_arguments(ty: &Type) -> Vec<&Type> {
    match last_segment(ty).map(|it| &it.arguments) {
        Some(syn::PathArguments::AngleBracketed(arguments)) => arguments
            .args
            .iter()
            .filter_map(|it| match it {
                syn::GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `<ty as ::underlay::__private::Trait>::Item`, as a path whose errors are told under `ty`: the same error each time,
/// and so told once.
pub(crate) fn projection(ty: impl ToTokens, of_trait: TokenStream, item: &str) -> TokenStream {
    let item = quote::format_ident!("{item}");
    spanned_as(
        &ty,
        quote!(<#ty as ::underlay::__private::#of_trait>::#item),
    )
}

/// Sets the span of the first and of the last of `tokens` to those of `at`, so that the compiler, which joins them,
/// underlines all of `at`.
pub(crate) fn spanned_as(at: impl ToTokens, tokens: TokenStream) -> TokenStream {
    let at: Vec<_> = at.into_token_stream().into_iter().collect();
    let (Some(first), Some(last)) = (at.first(), at.last()) else {
        return tokens;
    };
    let (first, last) = (first.span(), last.span());
    let mut tokens: Vec<_> = tokens.into_iter().collect();
    if let Some(token) = tokens.first_mut() {
        token.set_span(first);
    }
    if let Some(token) = tokens.last_mut() {
        token.set_span(last);
    }
    tokens.into_iter().collect()
}
