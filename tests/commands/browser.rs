//! The report in a real browser, where there is one.

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Before the page: collects whatever goes wrong in it.
const BEFORE: &str = r#"<script>
const wrong = [];
addEventListener("error", (event) => wrong.push(String(event.message)), true);
addEventListener("securitypolicyviolation", (event) => wrong.push(event.blockedURI));
</script>"#;

/// After the page: points at the first point of the figure, and writes down what it finds.
const AFTER: &str = r#"<script>
addEventListener("load", () => {
  const spot = document.querySelector("svg rect[aria-label]");
  const { x, y } = spot.getBoundingClientRect();
  const at = { bubbles: true, clientX: x + 1, clientY: y + 1 };
  spot.dispatchEvent(new PointerEvent("pointermove", at));
  const tip = document.getElementById("tip");
  const told = tip.hidden ? "" : tip.textContent;
  // The same with the keyboard.
  const right = new KeyboardEvent("keydown", { bubbles: true, key: "ArrowRight" });
  document.querySelector("figure .scroll").dispatchEvent(right);
  document.body.dataset.found = encodeURIComponent(JSON.stringify({
    wrong,
    tip: told,
    key: tip.hidden ? "" : tip.textContent,
    requests: performance.getEntriesByType("resource").length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    unnamed: document.querySelectorAll("th:not([scope]), svg:not([aria-labelledby])").length,
  }));
});
</script>"#;

/// The browser of this machine.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH")?;
    let programs = std::env::split_paths(&folders).flat_map(|f| names.map(|name| f.join(name)));
    let found = programs.into_iter().find(|program| program.is_file());
    if found.is_none() {
        println!("skipped: no Chromium on the PATH to open the report in");
    }
    found
}

/// Runs the browser on a page in `folder`; what it prints.
fn open(browser: &Path, folder: &Path, page: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--enable-logging=stderr",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args(arguments)
        .arg(format!("file://{}", folder.join(page).display()))
        .timeout(Duration::from_secs(120))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_report_works_in_a_browser() {
    let Some(browser) = browser() else { return };
    let folder = super::small_run();
    let page = std::fs::read_to_string(folder.path().join("results/small/report.html")).unwrap();
    let probed = page
        .replacen("<head>", &format!("<head>{BEFORE}"), 1)
        .replacen("</body>", &format!("{AFTER}</body>"), 1);
    std::fs::write(folder.path().join("probed.html"), probed).unwrap();
    for width in ["--window-size=1280,900", "--window-size=390,844"] {
        let (dom, log) = open(
            &browser,
            folder.path(),
            "probed.html",
            &[width, "--dump-dom"],
        );
        assert!(!log.contains("CONSOLE"), "{log}");
        let (_, found) = dom.split_once("data-found=\"").expect("the script has run");
        let found = percent_decoded(found.split('"').next().unwrap());
        let found: Value = serde_json::from_str(&found).unwrap();
        let tip = found["tip"].as_str().unwrap();
        assert!(
            tip.contains(", 5 probes: ") || tip.contains(", 5 passes: "),
            "{found}"
        );
        assert_eq!(found["key"], found["tip"], "the first point, by either way");
        assert_eq!(found["wrong"], serde_json::json!([]));
        assert_eq!(found["requests"], 0);
        assert_eq!(found["unnamed"], 0);
        assert!(
            found["overflow"].as_f64().unwrap() <= 0.0,
            "the page is too wide: {found}"
        );
    }
    let pdf = folder.path().join("report.pdf");
    let print = format!("--print-to-pdf={}", pdf.display());
    open(
        &browser,
        folder.path(),
        "results/small/report.html",
        &[&print],
    );
    assert!(std::fs::read(pdf).unwrap().starts_with(b"%PDF"));
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
