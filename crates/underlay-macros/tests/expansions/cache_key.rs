//! An expansion, written by `expansion_tests.rs`.

#[automatically_derived]
impl ::underlay::__private::CacheKey for ResourceKey {
    const FIELDS: &'static [&'static ::core::primitive::str] = &[
        "user_id",
        "resource_path",
    ];
    const FIELDS_JSON: &'static ::core::primitive::str = "[\"user_id\",\"resource_path\"]";
    fn values(&self) -> ::std::vec::Vec<::std::string::String> {
        ::std::vec![
            < i64 as ::underlay::__private::KeyPart > ::to_part(& self.user_id), < String
            as ::underlay::__private::KeyPart > ::to_part(& self.resource_path)
        ]
    }
}
