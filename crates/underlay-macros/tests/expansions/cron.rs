//! An expansion, written by `expansion_tests.rs`.

async fn clean_up() -> anyhow::Result<()> {
    Ok(())
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_clean_up_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_clean_up_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_clean_up_1_1() {
        ::underlay::__private::core::panic!(
            "`#[cron] fn clean_up` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    fn clean_up() -> ::underlay::__private::core::future::Ready<anyhow::Result<()>> {
        ::underlay::__private::core::unreachable!()
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_clean_up_1_1();
        fn __run() -> ::underlay::__private::HandlerFuture {
            ::underlay::__private::std::boxed::Box::pin(async move {
                <anyhow::Result<
                    (),
                > as ::underlay::__private::HandlerOutcome>::into_outcome(
                    clean_up().await,
                )
            })
        }
        const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
            "{\"declaration\":\"cron\",\"name\":\"clean-up\",\"title\":\"clean-up\",\"schedule\":\"every:1h\",\"handler\":\"",
            ::underlay::__private::core::module_path!(),
            "::clean_up\",\"source\":{\"package\":\"underlay-macros\",\"module\":\"",
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
            item: ::underlay::__private::Item::Cron(__run),
        };
    }
};
