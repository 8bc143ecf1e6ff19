//! An expansion, written by `expansion_tests.rs`.

::core::compile_error! {
    "`#[cron]` needs the feature `cron` of underlay: underlay = { features = [\"cron\"] }"
}
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
    }
};
