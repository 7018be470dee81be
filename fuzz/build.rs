//! Links every target so that it finds libtorch by itself.

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names its library folder");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
}
