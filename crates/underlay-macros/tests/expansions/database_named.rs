//! An expansion, written by `expansion_tests.rs`.

static ORDERS: Database = ::underlay::__private::Database::__new("orders", &[]);
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
enum ORDERS {}
impl ::underlay::__private::DeclaredDatabase for ORDERS {
    const NAME: &'static ::underlay::__private::core::primitive::str = "orders";
    fn database() -> &'static ::underlay::__private::Database {
        &ORDERS
    }
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_ORDERS_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_ORDERS_1_1() {
        ::underlay::__private::core::panic!(
            "`#[database] static ORDERS` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"reference\",\"name\":\"orders\",\"kind\":\"database\",\"resource\":\"orders\",\"permissions\":[\"ReadWrite\"],\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
        item: ::underlay::__private::Item::Database(&ORDERS),
    };
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_ORDERS_1_1();
    }
};
