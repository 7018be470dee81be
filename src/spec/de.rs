//! Deserialises a spec from its TOML document and keeps, for every error, the place it is about.
//!
//! The `toml` crate loses the place of an error inside an internally tagged enum. Here a table
//! stands for an enum by one of its keys: the enum's serde name says which ("kind" or "source"),
//! so `{ kind = "linear", out = 20 }` needs no buffering and every error keeps its span.

use super::de_error::Error;
use super::missing;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of the document, or a table seen without its tag.
#[derive(Clone, Copy)]
pub(super) struct Node<'a, 'i> {
    value: &'a Spanned<DeValue<'i>>,
    without: Option<&'static str>,
}

impl<'a, 'i> Node<'a, 'i> {
    pub(super) fn new(value: &'a Spanned<DeValue<'i>>) -> Self {
        Self {
            value,
            without: None,
        }
    }
}

impl<'de, 'a, 'i> de::Deserializer<'de> for Node<'a, 'i> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.value.get_ref() {
            DeValue::String(s) => visitor.visit_str(s),
            DeValue::Integer(i) => {
                match i64::from_str_radix(&i.as_str().replace('_', ""), i.radix()) {
                    Ok(i) if i >= 0 => visitor.visit_u64(i as u64),
                    Ok(i) => visitor.visit_i64(i),
                    Err(_) => Err(Error::new(
                        format!("found {}, expected an integer below 2^63", i.as_str()),
                        Some("write a smaller number".into()),
                    )),
                }
            }
            DeValue::Float(x) => match x.as_str().replace('_', "").parse() {
                Ok(x) => visitor.visit_f64(x),
                Err(_) => Err(de::Error::custom(format!("{} is not a number", x.as_str()))),
            },
            DeValue::Boolean(b) => visitor.visit_bool(*b),
            DeValue::Datetime(date) => {
                let found = format!("the date {date}");
                Err(de::Error::invalid_type(
                    de::Unexpected::Other(&found),
                    &visitor,
                ))
            }
            DeValue::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            DeValue::Table(table) => visitor.visit_map(Entries::new(table, self.without)),
        };
        result.map_err(|error| error.at(self.value.span()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Tells of all keys that are missing, where serde stops at the first.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let table = self.value.get_ref().as_table();
        self.deserialize_any(visitor)
            .map_err(|error| match (error.missing, table) {
                (true, Some(table)) if error.key.is_empty() => {
                    let absent = missing::required(fields)
                        .filter(|key| !table.contains_key(*key))
                        .collect::<Vec<_>>();
                    let (message, help) = missing::in_words(&absent);
                    Error {
                        message,
                        help: Some(help),
                        ..error
                    }
                }
                _ => error,
            })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        tag: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // A type's own name begins with a capital: an enum of plain names, without a tag.
        let tag = tag.starts_with(char::is_lowercase).then_some(tag);
        self.choice(tag, variants)
            .and_then(|choice| visitor.visit_enum(choice))
            .map_err(|error| error.at(self.value.span()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'a, 'i> Node<'a, 'i> {
    /// The variant that a name stands for, or a table with the name under `tag`.
    fn choice(self, tag: Option<&'static str>, variants: &[&str]) -> Result<Choice<'a, 'i>, Error> {
        let known = variants.join(", ");
        let value = self.value.get_ref();
        let name = match (tag, value) {
            (None, _) => self.value,
            (Some(tag), DeValue::Table(table)) => table.get(tag).ok_or_else(|| {
                let help = format!("add `{tag} = \"...\"`, one of: {known}");
                Error::new(format!("missing key `{tag}`"), Some(help))
            })?,
            (Some(tag), other) => {
                let help = format!("write {{ {tag} = \"...\" }} with one of: {known}");
                let found = article(other.type_str());
                return Err(Error::new(
                    format!("found {found}, expected a table with the key `{tag}`"),
                    Some(help),
                ));
            }
        };
        let within = |error: Error| {
            let error = error.at(name.span());
            match tag {
                Some(tag) => error.within(tag),
                None => error,
            }
        };
        let DeValue::String(variant) = name.get_ref() else {
            let found = article(name.get_ref().type_str());
            return Err(within(Error::new(
                format!("found {found}, expected a name in quotes"),
                Some(format!("known here: {known}")),
            )));
        };
        Ok(Choice {
            name: variant,
            span: name.span(),
            content: Node {
                value: self.value,
                without: tag,
            },
        })
    }
}

/// A type of TOML with its article.
fn article(kind: &str) -> String {
    match kind {
        "array" => "a list".into(),
        "integer" => "an integer".into(),
        "datetime" => "a date".into(),
        other => format!("a {other}"),
    }
}

/// The items of a list, counted.
struct Items<'a, 'i>(std::iter::Enumerate<std::slice::Iter<'a, Spanned<DeValue<'i>>>>);

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.0.next() {
            Some((index, item)) => seed
                .deserialize(Node::new(item))
                .map(Some)
                .map_err(|error| error.within(&format!("[{index}]"))),
            None => Ok(None),
        }
    }
}

/// The entries of a table in the order in which they are written.
struct Entries<'a, 'i> {
    rest: std::vec::IntoIter<Entry<'a, 'i>>,
    value: Option<Entry<'a, 'i>>,
}

type Entry<'a, 'i> = (
    &'a Spanned<std::borrow::Cow<'i, str>>,
    &'a Spanned<DeValue<'i>>,
);

impl<'a, 'i> Entries<'a, 'i> {
    fn new(table: &'a DeTable<'i>, without: Option<&str>) -> Self {
        let mut entries: Vec<Entry<'a, 'i>> = table
            .iter()
            .filter(|(key, _)| Some(key.get_ref().as_ref()) != without)
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Self {
            rest: entries.into_iter(),
            value: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        let name: &str = key.get_ref();
        seed.deserialize(name.into_deserializer())
            .map(Some)
            .map_err(|error: Error| error.at(key.span()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.value.take().expect("a key comes before its value");
        seed.deserialize(Node::new(value))
            .map_err(|error| error.at(value.span()).within(key.get_ref()))
    }
}

/// The variant that a name or a tagged table stands for.
struct Choice<'a, 'i> {
    name: &'a str,
    span: Range<usize>,
    content: Node<'a, 'i>,
}

impl<'de, 'a, 'i> de::EnumAccess<'de> for Choice<'a, 'i> {
    type Error = Error;
    type Variant = Node<'a, 'i>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Error> {
        let variant = seed
            .deserialize(self.name.into_deserializer())
            .map_err(|error: Error| {
                let error = error.at(self.span);
                match self.content.without {
                    Some(tag) => error.within(tag),
                    None => error,
                }
            })?;
        Ok((variant, self.content))
    }
}

impl<'de> de::VariantAccess<'de> for Node<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}
