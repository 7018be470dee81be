//! Links every program of this package so that it finds libtorch by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Handed over by torch-sys (links = "tch"), which must therefore be a direct dependency.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names its library folder");
    // RUNPATH, not RPATH: LD_LIBRARY_PATH must win, to start the same program on a CUDA libtorch.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{lib}");
    // Nothing refers to libtorch.so, so the linker would drop it, and with it the way to CUDA.
    println!("cargo:rustc-link-arg=-L{lib}");
    println!("cargo:rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch,--pop-state");
    println!("cargo:rustc-env=RUNNER_COMMIT={}", commit());
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    println!("cargo:rerun-if-changed=src");
}

/// The commit that is built, for the manifest; "unknown" outside a git checkout.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_string())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "-modified",
    }
}
