//! An expansion, written by `expansion_tests.rs`.

#[automatically_derived]
impl<T> ::underlay::__private::Message for Envelope<T>
where
    Envelope<
        T,
    >: ::underlay::__private::serde::Serialize
        + ::underlay::__private::serde::de::DeserializeOwned + ::core::marker::Send
        + ::core::marker::Sync + 'static,
{
    const ATTRIBUTES: &'static [&'static ::core::primitive::str] = &["sender"];
    const ATTRIBUTES_JSON: &'static ::core::primitive::str = "[\"sender\"]";
    fn attributes(
        &self,
    ) -> ::std::collections::BTreeMap<::std::string::String, ::std::string::String> {
        #[allow(unused_mut)]
        let mut attributes = ::std::collections::BTreeMap::new();
        attributes
            .insert(
                ::std::string::String::from("sender"),
                <String as ::underlay::__private::AttributeValue>::to_attribute(
                    &self.sender,
                ),
            );
        attributes
    }
}
