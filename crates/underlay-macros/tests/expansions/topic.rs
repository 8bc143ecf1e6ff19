//! An expansion, written by `expansion_tests.rs`.

#[cfg(feature = "carts")]
pub(crate) static CART_EVENTS: Topic<CartEvent> = ::underlay::__private::Topic::__new(
    "cart-events",
    ::underlay::__private::core::option::Option::Some("cart_id"),
);
#[cfg(feature = "carts")]
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
pub(crate) enum CART_EVENTS {}
#[cfg(feature = "carts")]
impl ::underlay::__private::DeclaredTopic for CART_EVENTS {
    const NAME: &'static ::underlay::__private::core::primitive::str = "cart-events";
    type Marker = Self;
}
#[cfg(feature = "carts")]
impl ::underlay::__private::MessageOf<CART_EVENTS> for CartEvent {
    const ATTRIBUTES: &'static [&'static ::underlay::__private::core::primitive::str] = <CartEvent as ::underlay::__private::Message>::ATTRIBUTES;
    const ATTRIBUTES_JSON: &'static ::underlay::__private::core::primitive::str = <CartEvent as ::underlay::__private::Message>::ATTRIBUTES_JSON;
    fn topic() -> &'static ::underlay::__private::Topic<CartEvent> {
        &CART_EVENTS
    }
    fn decode(
        body: &::underlay::__private::Bytes,
    ) -> ::underlay::__private::core::result::Result<
        CartEvent,
        ::underlay::__private::HandlerError,
    > {
        <CartEvent as ::underlay::__private::Message>::__decode(body)
    }
}
#[cfg(feature = "carts")]
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_CART_EVENTS_1_1() {}
#[cfg(feature = "carts")]
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_CART_EVENTS_1_1() {
        ::underlay::__private::core::panic!(
            "`#[topic] static CART_EVENTS` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    const _: () = ::underlay::__private::check_attribute(
        <CartEvent as ::underlay::__private::MessageOf<CART_EVENTS>>::ATTRIBUTES,
        "cart_id",
    );
    const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
        "{\"declaration\":\"topic\",\"name\":\"cart-events\",\"message\":\"CartEvent\",\"delivery\":\"at-least-once\",\"ordered_by\":\"cart_id\",\"attributes\":",
        <CartEvent as ::underlay::__private::MessageOf<CART_EVENTS>>::ATTRIBUTES_JSON,
        ",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
        item: ::underlay::__private::Item::Topic(&CART_EVENTS),
    };
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_CART_EVENTS_1_1();
    }
};
