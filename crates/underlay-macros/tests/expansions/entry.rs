//! An expansion, written by `expansion_tests.rs`.

fn main() -> ::underlay::__private::std::process::ExitCode {
    async fn body() -> Result<(), Error> {
        serve().await
    }
    ::underlay::__private::main(async || <Result<
        (),
        Error,
    > as ::underlay::__private::Outcome>::exit_code(body().await))
}
#[doc(hidden)]
#[allow(dead_code, non_snake_case)]
const fn __underlay_main_1_1() {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __UNDERLAY_main_1_1: () = {
    #[allow(dead_code, non_snake_case)]
    #[track_caller]
    const fn __underlay_main_1_1() {
        ::underlay::__private::core::panic!(
            "`#[underlay::main] fn main` must be declared at module level: move it out of the enclosing function, closure, `impl` or block"
        )
    }
    {
        #[allow(unused_imports)]
        use self::*;
        const _: () = __underlay_main_1_1();
        const __PARTS: &[&::underlay::__private::core::primitive::str] = &[
            "{\"declaration\":\"application\",\"name\":\"underlay-macros\",\"version\":\"0.1.0\"}",
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
    }
};
