//! An expansion, written by `expansion_tests.rs`.

::core::compile_error! {
    "a `#[subscription]` handler returns `Result<(), E>`, so that Underlay knows whether it succeeded"
}
async fn handle(_: Cart) {}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_handle_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_handle_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_handle_1_1() {
        ::underlay::__private::core::panic!(
            "`#[subscription] fn handle` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_handle_1_1();
    }
};
