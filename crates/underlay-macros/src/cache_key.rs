//! `#[derive(CacheKey)]` on a struct of texts, integers and `bool`s.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::errors::Errors;
use crate::static_item::spanned_as;

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let fields = parse(&input, &mut errors);
    if !input.generics.params.is_empty() {
        return errors.to_compile_errors();
    }
    expand(&input, &fields, &errors)
}

fn parse<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Vec<&'a syn::Field> {
    let ident = &input.ident;
    let wanted = format!(
        "a cache key is a struct with named fields: `struct {ident} {{ user_id: String }}`"
    );
    if !input.generics.params.is_empty() {
        errors.push(&input.generics, "a cache key cannot be generic");
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if fields.named.is_empty() => errors.push(ident, wanted),
            Fields::Named(fields) => return fields.named.iter().collect(),
            Fields::Unnamed(fields) => errors.push(fields, wanted),
            Fields::Unit => errors.push(ident, wanted),
        },
        Data::Enum(data) => errors.push(data.enum_token, wanted),
        Data::Union(data) => errors.push(data.union_token, wanted),
    }
    Vec::new()
}

fn expand(input: &DeriveInput, fields: &[&syn::Field], errors: &Errors) -> TokenStream {
    let private = quote!(::underlay::__private);
    let ident = &input.ident;
    let idents: Vec<_> = fields.iter().filter_map(|it| it.ident.as_ref()).collect();
    let names: Vec<String> = idents
        .iter()
        .map(|it| it.to_string().trim_start_matches("r#").to_owned())
        .collect();
    let json = serde_json::to_string(&names).expect("a list of texts");
    let values = fields.iter().zip(&idents).map(|(field, ident)| {
        let ty = &field.ty;
        let to_part = spanned_as(ty, quote!(<#ty as #private::KeyPart>::to_part));
        quote!(#to_part(&self.#ident))
    });
    let (impl_generics, types, where_clause) = input.generics.split_for_impl();
    let errors = errors.to_compile_errors();
    quote! {
        #errors
        #[automatically_derived]
        impl #impl_generics #private::CacheKey for #ident #types #where_clause {
            const FIELDS: &'static [&'static ::underlay::__private::core::primitive::str] = &[#(#names),*];
            const FIELDS_JSON: &'static ::underlay::__private::core::primitive::str = #json;

            fn values(&self) -> ::underlay::__private::std::vec::Vec<::underlay::__private::std::string::String> {
                ::underlay::__private::std::vec![#(#values),*]
            }
        }
    }
}
