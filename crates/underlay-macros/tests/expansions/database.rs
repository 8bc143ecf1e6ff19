//! An expansion, written by `expansion_tests.rs`.

/// Orders.
pub static ORDERS: Database = ::underlay::__private::Database::__new(
    "orders",
    &[
        ::underlay::__private::EmbeddedMigration {
            number: 1i64,
            description: "create orders",
            file: "0001_create_orders.up.sql",
            sql: ::underlay::__private::core::include_str!(
                "$DIR/tests/migrations/0001_create_orders.up.sql"
            ),
        },
    ],
);
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
pub enum ORDERS {}
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
        "{\"declaration\":\"database\",\"name\":\"orders\",\"engine\":\"postgres\",\"migrations\":[{\"number\":1,\"description\":\"create orders\",\"checksum\":\"1e95cddc4cc52687e8c1ddd6d2d09c76f7641fb4fb91fc39a4fda5abebc05a129c92398c0519eeffc2c4ea7e4a3dec1d\"}],\"migrations_dir\":\"tests/migrations\",\"outbox\":true,\"doc\":\"Orders.\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
