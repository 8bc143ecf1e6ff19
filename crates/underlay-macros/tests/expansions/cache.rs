//! An expansion, written by `expansion_tests.rs`.

static MY_CACHE: CacheCluster = ::underlay::__private::CacheCluster::__new("my-cache");
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
enum MY_CACHE {}
impl ::underlay::__private::DeclaredCache for MY_CACHE {
    const NAME: &'static ::underlay::__private::core::primitive::str = "my-cache";
    fn cache() -> &'static ::underlay::__private::CacheCluster {
        &MY_CACHE
    }
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_MY_CACHE_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_MY_CACHE_1_1() {
        ::underlay::__private::core::panic!(
            "`#[cache] static MY_CACHE` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"cache\",\"name\":\"my-cache\",\"eviction\":\"allkeys-lfu\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
        item: ::underlay::__private::Item::Cache(&MY_CACHE),
    };
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_MY_CACHE_1_1();
    }
};
