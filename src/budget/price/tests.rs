use super::*;

fn price(input: f64, output: f64) -> Price {
    Price { input, output, cached_input: None, cache_write: None }
}

fn overrides<const N: usize>(prices: [(&str, Price); N]) -> BTreeMap<String, Price> {
    prices.into_iter().map(|(name, price)| (name.to_owned(), price)).collect()
}

#[test]
fn every_public_price_is_a_price() {
    let mut count = 0;
    for (kind, name, row) in Snapshot::built_in().rows() {
        assert!(row.told().iter().all(|price| price.is_finite() && *price > 0.0), "{kind} {name}");
        assert!(row.price().check().is_ok(), "{kind} {name}");
        assert!(row.answers() || name.contains("embedding"), "{kind} {name} has no price of its answers");
        assert!(row.about().max_input_tokens != Some(0) && row.about().max_output_tokens != Some(0), "{kind} {name}");
        count += 1;
    }
    assert!(count > 150, "{count}");
}

#[test]
fn public_prices_are_found_by_name() {
    let prices = Prices::built_in();
    let found = prices.price_of("openai", "gpt-4o").unwrap();
    assert_eq!(found, Price { input: 2.5, output: 10.0, cached_input: Some(1.25), cache_write: None });
    let found = prices.price_of("anthropic", "claude-sonnet-4-5").unwrap();
    assert_eq!(found, Price { input: 3.0, output: 15.0, cached_input: Some(0.3), cache_write: Some(3.75) });
    let found = prices.price_of("google", "gemini-2.5-flash").unwrap();
    assert_eq!(found, Price { input: 0.3, output: 2.5, cached_input: Some(0.03), cache_write: None });
    assert_eq!(prices.price_of("openai", "text-embedding-3-small"), Some(price(0.02, 0.0)));
}

#[test]
fn dates_are_looked_through() {
    let prices = Prices::built_in();
    let same = [
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("openai", "gpt-6-sol-2026-09-22", "gpt-6-sol"),
        ("anthropic", "claude-opus-4-8-20260601", "claude-opus-4-8"),
        ("anthropic", "claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("google", "models/gemini-2.5-flash", "gemini-2.5-flash"),
    ];
    for (kind, dated, name) in same {
        assert_eq!(prices.price_of(kind, dated), prices.price_of(kind, name), "{dated}");
        assert!(prices.price_of(kind, dated).is_some(), "{dated}");
    }
    // A release that is listed with another price keeps it.
    assert_ne!(prices.price_of("openai", "gpt-4o-2024-05-13"), prices.price_of("openai", "gpt-4o"));
}

#[test]
fn what_is_not_listed_has_no_price() {
    let prices = Prices::built_in();
    let unknown = [
        ("openai", "gpt-4o-ultra"),
        ("openai", "gpt-3.5-turbo-0613"),
        ("openai", "claude-sonnet-4-5"),
        ("openai", "models/gpt-4o"),
        ("openai", "GPT-4o"),
        ("anthropic", "claude"),
        ("google", "gemini-2.5-flash-preview-09-2025"),
        ("ollama", "gpt-4o"),
        ("", ""),
    ];
    for (kind, model) in unknown {
        assert_eq!(prices.price_of(kind, model), None, "{kind} {model}");
        assert_eq!(prices.about(kind, model), None, "{kind} {model}");
    }
}

#[test]
fn own_prices_win() {
    let prices = Prices::with_overrides(&overrides([
        ("gpt-4o", price(1.0, 2.0)),
        ("gpt-*", price(3.0, 4.0)),
        ("gpt-4*", price(5.0, 6.0)),
        ("ft:gpt-4o-2024-08-06:*", price(7.0, 8.0)),
    ]));
    assert_eq!(prices.price_of("openai", "gpt-4o"), Some(price(1.0, 2.0)));
    assert_eq!(prices.price_of("openai", "gpt-4o-mini"), Some(price(5.0, 6.0)));
    assert_eq!(prices.price_of("openai", "gpt-5"), Some(price(3.0, 4.0)));
    assert_eq!(prices.price_of("openai", "ft:gpt-4o-2024-08-06:us::abc"), Some(price(7.0, 8.0)));
    assert_eq!(prices.price_of("openai", "o3"), Prices::built_in().price_of("openai", "o3"));
    assert_eq!(prices.about("openai", "gpt-4o"), Prices::built_in().about("openai", "gpt-4o"));
}

#[test]
fn bad_prices_are_named_and_left_out() {
    let bad =
        overrides([("a", price(-1.0, 2.0)), ("b*c", price(1.0, 2.0)), ("", price(1.0, 2.0)), ("o3", price(1.0, 2.0))]);
    let messages: Vec<String> = Prices::check(&bad).iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            r#""" is neither the name of a model nor the beginning of one with a `*` at its end"#,
            r#"the price of "a": input is -1: a price is a number of USD per million tokens, 0 or more"#,
            r#""b*c" is neither the name of a model nor the beginning of one with a `*` at its end"#,
        ]
    );
    let prices = Prices::with_overrides(&bad);
    assert_eq!(prices.price_of("openai", "a"), None);
    assert_eq!(prices.price_of("openai", "o3"), Some(price(1.0, 2.0)));
    let every = Prices::with_overrides(&overrides([("*", price(0.0, 0.0))]));
    assert_eq!(every.price_of("anything", "at-all"), Some(price(0.0, 0.0)));
}

#[test]
fn the_list_tells_what_models_take() {
    let about = Prices::built_in().about("anthropic", "claude-sonnet-4-5-20250929").unwrap();
    let expected = About {
        max_input_tokens: Some(200_000),
        max_output_tokens: Some(64_000),
        vision: Some(true),
        tools: Some(true),
        json_mode: Some(true),
    };
    assert_eq!(about, expected);
    assert_eq!(Prices::built_in().about("openai", "o3-mini").unwrap().vision, Some(false));
    assert_eq!(Prices::built_in().about("openai", "gpt-4").unwrap().vision, None);
}

#[test]
fn the_list_tells_its_day_and_its_source() {
    let retrieved = Prices::built_in().retrieved();
    assert!(retrieved.len() == 10 && retrieved.starts_with("20") && retrieved.split('-').count() == 3, "{retrieved}");
    assert!(Prices::built_in().source().contains("litellm"));
}
