//! What the command line sets over a spec: `--set sampling.V_batch=[20]`.

use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key of a spec with the value that an option of the command line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The option as it was written, which errors point into.
    option: String,
    /// Where the key and the value stand in it.
    key: Range<usize>,
    value: Range<usize>,
    /// Whether the value is a text as it stands, without quotes.
    plain: bool,
}

/// Why a setting cannot be applied: what was found, what to do, and the place in the option.
pub(super) struct OverrideError {
    pub message: String,
    pub help: &'static str,
    pub span: Range<usize>,
}

const EXAMPLE: &str = "write for example --set sampling.V_batch=[20] or --set estimator[0].V=[100]";

impl Override {
    /// From `KEY=VALUE`, the value being TOML, or a word without its quotes.
    ///
    /// # Errors
    /// A text without "=", or without a key before it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((key, _)) = text.split_once('=').filter(|(key, _)| steps(key).is_some()) else {
            return Err(format!("expected KEY=VALUE; {EXAMPLE}"));
        };
        let option = format!("--set {text}");
        let start = option.len() - text.len();
        let end = start + key.len();
        Ok(Self {
            key: start..end,
            value: end + 1..option.len(),
            plain: false,
            option,
        })
    }

    /// An option of its own for a key whose value is a text: `--device cpu`.
    pub fn text(option: &str, key: &str, value: &str) -> Self {
        Self::of(option, key, value, true)
    }

    /// An option of its own for a key whose value is a number: `--threads 2`.
    pub fn number(option: &str, key: &str, value: u64) -> Self {
        Self::of(option, key, &value.to_string(), false)
    }

    /// An option is called like its key.
    fn of(option: &str, key: &str, value: &str, plain: bool) -> Self {
        let option = format!("{option} {value}");
        let start = option.find(key).expect("an option is called like its key");
        Self {
            key: start..start + key.len(),
            value: option.len() - value.len()..option.len(),
            plain,
            option,
        }
    }

    /// The option as it was written.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// The option's value as a document of one key, whose spans begin at `offset`, where the option's
    /// text is taken to be.
    pub(super) fn document(&self, offset: usize) -> String {
        let padding = " ".repeat(offset + self.value.start - Self::KEY.len());
        format!("{padding}{}{}", Self::KEY, &self.option[self.value.clone()])
    }

    const KEY: &str = "v=";

    /// Sets the key in `root`, `document` being that of [`document`](Self::document).
    pub(super) fn apply<'a>(
        &'a self,
        root: &mut Spanned<DeValue<'a>>,
        document: &'a str,
        offset: usize,
    ) -> Result<(), OverrideError> {
        let value = self.value(document, offset)?;
        let key = offset + self.key.start..offset + self.key.end;
        *place(root, &self.option[self.key.clone()], &key).map_err(|message| OverrideError {
            message,
            help: EXAMPLE,
            span: key.clone(),
        })? = value;
        Ok(())
    }

    fn value<'a>(
        &'a self,
        document: &'a str,
        offset: usize,
    ) -> Result<Spanned<DeValue<'a>>, OverrideError> {
        let text = &self.option[self.value.clone()];
        let span = offset + self.value.start..offset + self.value.end;
        let plain = || Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(text)));
        let parsed = || {
            let mut table = DeTable::parse(document).ok()?.into_inner();
            let value = table.remove(Self::KEY.trim_end_matches('='))?;
            table.is_empty().then_some(value)
        };
        match self.plain {
            true => Ok(plain()),
            false => parsed().or_else(|| is_word(text).then(plain)).ok_or(OverrideError {
                message: format!("found `{text}`, expected a value as in a spec"),
                help: "quote it for the shell: --set 'sampling.V_batch=[20]' or --set 'name=\"mine\"'",
                span: span.clone(),
            }),
        }
    }
}

/// A step of a key: `estimator[0].V` has three.
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// The steps of a key; `None` for what is no key.
fn steps(key: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        steps.push(Step::Name(name));
        for index in indices.split_terminator(']') {
            steps.push(Step::Index(index.strip_prefix('[')?.parse().ok()?));
        }
        if !indices.is_empty() && !indices.ends_with(']') {
            return None;
        }
    }
    Some(steps)
}

/// The value at `key`, added if it is not there; what is added has the span `span`.
fn place<'r, 'a>(
    root: &'r mut Spanned<DeValue<'a>>,
    key: &'a str,
    span: &Range<usize>,
) -> Result<&'r mut Spanned<DeValue<'a>>, String> {
    let mut place = root;
    let mut before = String::new();
    for step in steps(key).expect("checked when the setting was made") {
        let kind = place.get_ref().type_str();
        place = match (step, place.get_mut()) {
            (Step::Name(name), DeValue::Table(table)) => {
                before = match before.as_str() {
                    "" => name.to_string(),
                    before => format!("{before}.{name}"),
                };
                if !table.contains_key(name) {
                    let empty = DeValue::Table(DeTable::new());
                    let name = Spanned::new(span.clone(), Cow::Borrowed(name));
                    table.insert(name, Spanned::new(span.clone(), empty));
                }
                table.get_mut(name).expect("it was there or is now")
            }
            (Step::Index(index), DeValue::Array(items)) => {
                let len = match items.len() {
                    1 => "1 entry".into(),
                    len => format!("{len} entries"),
                };
                let missing =
                    || format!("found {before}[{index}], but {before} has {len}, counted from 0");
                let item = items.get_mut(index).ok_or_else(missing)?;
                before = format!("{before}[{index}]");
                item
            }
            (Step::Name(_), _) => return Err(format!("{before} is a {kind}, expected a table")),
            (Step::Index(_), _) => return Err(format!("{before} is a {kind}, expected a list")),
        };
    }
    Ok(place)
}

/// What may stand for a text without quotes.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || "./".contains(c))
        && text.chars().all(plain)
}
