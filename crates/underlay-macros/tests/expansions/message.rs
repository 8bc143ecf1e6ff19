//! An expansion, written by `expansion_tests.rs`.

#[automatically_derived]
impl<T> ::underlay::__private::Message for Envelope<T>
where
    Envelope<
        T,
    >: ::underlay::__private::serde::Serialize
        + ::underlay::__private::serde::de::DeserializeOwned
        + ::underlay::__private::core::marker::Send
        + ::underlay::__private::core::marker::Sync + 'static,
{
    const ATTRIBUTES: &'static [&'static ::underlay::__private::core::primitive::str] = &[
        "sender",
    ];
    const ATTRIBUTES_JSON: &'static ::underlay::__private::core::primitive::str = "[\"sender\"]";
    fn attributes(
        &self,
    ) -> ::underlay::__private::std::collections::BTreeMap<
        ::underlay::__private::std::string::String,
        ::underlay::__private::std::string::String,
    > {
        #[allow(unused_mut)]
        let mut attributes = ::underlay::__private::std::collections::BTreeMap::new();
        attributes
            .insert(
                ::underlay::__private::std::string::String::from("sender"),
                <String as ::underlay::__private::AttributeValue>::to_attribute(
                    &self.sender,
                ),
            );
        attributes
    }
}
