//! An expansion, written by `expansion_tests.rs`.

#[automatically_derived]
impl ::underlay::__private::CacheKey for ResourceKey {
    const FIELDS: &'static [&'static ::underlay::__private::core::primitive::str] = &[
        "user_id",
        "resource_path",
    ];
    const FIELDS_JSON: &'static ::underlay::__private::core::primitive::str = "[\"user_id\",\"resource_path\"]";
    fn values(
        &self,
    ) -> ::underlay::__private::std::vec::Vec<
        ::underlay::__private::std::string::String,
    > {
        ::underlay::__private::std::vec![
            < i64 as ::underlay::__private::KeyPart > ::to_part(& self.user_id), < String
            as ::underlay::__private::KeyPart > ::to_part(& self.resource_path)
        ]
    }
}
