//! An expansion, written by `expansion_tests.rs`.

#[doc(hidden)]
static __UNDERLAY_SECRET_PORT_LIMIT: ::underlay::__private::SecretCell<u16> = ::underlay::__private::SecretCell::__new(
    "PORT_LIMIT",
    <u16 as ::underlay::__private::SecretType>::parse,
);
static PORT_LIMIT: Secret<u16> = {
    fn __value() -> ::underlay::__private::SecretValue<u16> {
        __UNDERLAY_SECRET_PORT_LIMIT.__value()
    }
    __value
};
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_PORT_LIMIT_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_PORT_LIMIT_1_1() {
        ::underlay::__private::core::panic!(
            "`#[secret] static PORT_LIMIT` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"secret\",\"name\":\"PORT_LIMIT\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
        item: ::underlay::__private::Item::Secret(&__UNDERLAY_SECRET_PORT_LIMIT),
    };
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_PORT_LIMIT_1_1();
    }
};
