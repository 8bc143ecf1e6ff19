//! An expansion, written by `expansion_tests.rs`.

::core::compile_error! {
    "the name `Cart` is not kebab-case: `C` is neither a lower-case letter, a digit nor `-`; try `cart`"
}
pub static CARTS: Topic<Cart> = ::underlay::__private::Topic::__new(
    "Cart",
    ::underlay::__private::core::option::Option::None,
);
#[doc(hidden)]
#[allow(dead_code, non_camel_case_types, unreachable_pub, clippy::upper_case_acronyms)]
pub enum CARTS {}
impl ::underlay::__private::DeclaredTopic for CARTS {
    const NAME: &'static ::underlay::__private::core::primitive::str = "Cart";
    type Marker = Self;
}
impl ::underlay::__private::MessageOf<CARTS> for Cart {
    const ATTRIBUTES: &'static [&'static ::underlay::__private::core::primitive::str] = <Cart as ::underlay::__private::Message>::ATTRIBUTES;
    const ATTRIBUTES_JSON: &'static ::underlay::__private::core::primitive::str = <Cart as ::underlay::__private::Message>::ATTRIBUTES_JSON;
    fn topic() -> &'static ::underlay::__private::Topic<Cart> {
        &CARTS
    }
    fn decode(
        body: &::underlay::__private::Bytes,
    ) -> ::underlay::__private::core::result::Result<
        Cart,
        ::underlay::__private::HandlerError,
    > {
        <Cart as ::underlay::__private::Message>::__decode(body)
    }
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_CARTS_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const _: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_CARTS_1_1() {
        ::underlay::__private::core::panic!(
            "`#[topic] static CARTS` must be declared at module level: move it out of the enclosing function, closure or block"
        )
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_CARTS_1_1();
    }
};
