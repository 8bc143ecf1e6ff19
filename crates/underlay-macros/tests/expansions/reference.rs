//! An expansion, written by `expansion_tests.rs`.

static CART_EVENTS: TopicRef<CartEvent, Publisher> = ::underlay::__private::TopicRef::__new(
    <CartEvent as ::underlay::__private::MessageOf<
        <orders::CART_EVENTS as ::underlay::__private::DeclaredTopic>::Marker,
    >>::topic,
);
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
enum CART_EVENTS {}
impl ::underlay::__private::DeclaredTopic for CART_EVENTS {
    const NAME: &'static ::underlay::__private::core::primitive::str = <orders::CART_EVENTS as ::underlay::__private::DeclaredTopic>::NAME;
    type Marker = <orders::CART_EVENTS as ::underlay::__private::DeclaredTopic>::Marker;
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_CART_EVENTS_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_CART_EVENTS_1_1() {
        ::underlay::__private::core::panic!(
            "`#[reference] static CART_EVENTS` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"reference\",\"name\":\"cart-events\",\"kind\":\"topic\",\"resource\":\"",
        <orders::CART_EVENTS as ::underlay::__private::DeclaredTopic>::NAME,
        "\",\"permissions\":[\"",
        <Publisher as ::underlay::__private::Permission>::NAME,
        "\"],\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
        const _: () = __underlay_CART_EVENTS_1_1();
    }
};
