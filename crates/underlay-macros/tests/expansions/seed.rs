//! An expansion, written by `expansion_tests.rs`.

async fn two_orders() -> anyhow::Result<()> {
    Ok(())
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_two_orders_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_two_orders_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_two_orders_1_1() {
        ::underlay::__private::core::panic!(
            "`#[seed] fn two_orders` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    fn two_orders() -> ::underlay::__private::core::future::Ready<anyhow::Result<()>> {
        ::underlay::__private::core::unreachable!()
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_two_orders_1_1();
        fn __run() -> ::underlay::__private::HandlerFuture {
            ::underlay::__private::std::boxed::Box::pin(async move {
                <anyhow::Result<
                    (),
                > as ::underlay::__private::HandlerOutcome>::into_outcome(
                    two_orders().await,
                )
            })
        }
        #[::underlay::__private::linkme::distributed_slice(
            ::underlay::__private::DECLARATIONS
        )]
        #[linkme(crate = ::underlay::__private::linkme)]
        static __DECLARATION: ::underlay::__private::Declaration = ::underlay::__private::Declaration {
            fragment: &[],
            item: ::underlay::__private::Item::Seed(
                ::underlay::__private::core::concat!(
                    ::underlay::__private::core::module_path!(), "::", "two_orders"
                ),
                __run,
            ),
        };
    }
};
