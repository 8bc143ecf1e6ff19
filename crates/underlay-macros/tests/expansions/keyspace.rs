//! An expansion, written by `expansion_tests.rs`.

#[doc(hidden)]
static __UNDERLAY_PLACE_REQUESTS: ::underlay::__private::Place = ::underlay::__private::Place::__new(
    <MY_CACHE as ::underlay::__private::DeclaredCache>::cache,
    "requests/:user_id",
);
static REQUESTS: IntKeyspace<UserKey> = ::underlay::__private::Keyspace::__new(
    &__UNDERLAY_PLACE_REQUESTS,
    ::underlay::__private::core::option::Option::Some(
        ::underlay::__private::core::time::Duration::from_millis(10000u64),
    ),
);
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_REQUESTS_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_REQUESTS_1_1() {
        ::underlay::__private::core::panic!(
            "`#[keyspace] static REQUESTS` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const _: () = ::underlay::__private::check_key_pattern(
        &["user_id"],
        <UserKey as ::underlay::__private::CacheKey>::FIELDS,
    );
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"keyspace\",\"name\":\"requests\",\"cache\":\"",
        <MY_CACHE as ::underlay::__private::DeclaredCache>::NAME,
        "\",\"pattern\":\"requests/:user_id\",\"key\":\"UserKey\",\"key_fields\":",
        <UserKey as ::underlay::__private::CacheKey>::FIELDS_JSON,
        ",\"value\":\"IntKeyspace<UserKey>\",\"expiry\":\"10s\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
        ::underlay::__private::core::module_path!(),
        "\",\"file\":\"src/lib.rs\",\"line\":1,\"column\":1}}",
    ];
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__underlay"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".undrlay"))]
    static __FRAGMENT: [::underlay::__private::core::primitive::u8; ::underlay::__private::fragment_len(
        __PARTS,
    )] = ::underlay::__private::fragment(__PARTS);
    #[::underlay::__private::linkme::distributed_slice(
        ::underlay::__private::DECLARATIONS
    )]
    #[linkme(crate = ::underlay::__private::linkme)]
    static __DECLARATION: ::underlay::__private::Declaration = ::underlay::__private::Declaration {
        fragment: &__FRAGMENT,
        item: ::underlay::__private::Item::Described,
    };
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_REQUESTS_1_1();
    }
};
