//! How it is to be answered: tools, the choice among them, `generationConfig`.

use super::request::bad;
use super::schema;
use super::values::{Many, Number, Whole};
use super::wire::{CallingConfig, FunctionDeclaration, GenerationConfig, ThinkingConfig, Tools};
use crate::dialect::chat::{ChatRequest, Effort, Format, Json, Reasoning, Sampling, Tool, ToolChoice};
use crate::dialect::inspect::BadRequest;

/// The functions of all sets; what Google runs itself is noted.
pub(super) fn tools(sets: Many<Tools>, uncarried: &mut Vec<String>) -> Result<Vec<Tool>, BadRequest> {
    let mut all = Vec::new();
    for (at, set) in sets.0.into_iter().enumerate() {
        let others = [
            (set.google_search.is_some(), "googleSearch"),
            (set.google_search_retrieval.is_some(), "googleSearchRetrieval"),
            (set.code_execution.is_some(), "codeExecution"),
            (set.url_context.is_some(), "urlContext"),
            (set.file_search.is_some(), "fileSearch"),
            (set.google_maps.is_some(), "googleMaps"),
            (set.computer_use.is_some(), "computerUse"),
        ];
        let there = others.iter().filter(|(there, _)| *there);
        uncarried.extend(there.map(|(_, name)| format!("tools[{at}].{name}")));
        let declarations = set.function_declarations.map_or_else(Vec::new, |all| all.0);
        for (number, declaration) in declarations.into_iter().enumerate() {
            let path = format!("tools[{at}].functionDeclarations[{number}]");
            all.push(tool(declaration, &path)?);
        }
    }
    Ok(all)
}

fn tool(told: FunctionDeclaration, path: &str) -> Result<Tool, BadRequest> {
    let Some(name) = told.name.filter(|name| !name.is_empty()) else {
        return Err(bad(format!("{path}.name"), "must be the name of the function"));
    };
    let parameters = told.parameters_json_schema.or_else(|| told.parameters.map(schema::lowered));
    if parameters.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(bad(format!("{path}.parameters"), "must be a schema: an object"));
    }
    let description = told.description.filter(|text| !text.is_empty());
    Ok(Tool { name, description, parameters, strict: None })
}

/// Whether a tool must be called. `VALIDATED` is `AUTO` with arguments held to their schema.
pub(super) fn tool_choice(
    calling: CallingConfig<'_>,
    uncarried: &mut Vec<String>,
) -> Result<Option<ToolChoice>, BadRequest> {
    let mode = calling.mode.map(|mode| mode.0.to_ascii_uppercase()).unwrap_or_default();
    let choice = match mode.as_str() {
        "" | "MODE_UNSPECIFIED" => None,
        "AUTO" | "VALIDATED" => Some(ToolChoice::Auto),
        "ANY" => Some(ToolChoice::Required),
        "NONE" => Some(ToolChoice::None),
        _ => {
            let path = "toolConfig.functionCallingConfig.mode";
            return Err(bad(path, "must be AUTO, ANY, NONE or VALIDATED"));
        }
    };
    let mut allowed = calling.allowed_function_names.unwrap_or_default();
    if allowed.len() == 1 && choice == Some(ToolChoice::Required) {
        return Ok(allowed.pop().map(ToolChoice::Named));
    }
    if !allowed.is_empty() {
        uncarried.push("toolConfig.functionCallingConfig.allowedFunctionNames".to_owned());
    }
    Ok(choice)
}

/// Takes `config` into `request`.
pub(super) fn generation(
    mut config: GenerationConfig<'_>,
    request: &mut ChatRequest,
    uncarried: &mut Vec<String>,
) -> Result<(), BadRequest> {
    note_uncarried(&config, uncarried);
    let penalty = |told: Option<Number>| told.map(|number| number.0).filter(|penalty| *penalty != 0.0);
    request.sampling = Sampling {
        temperature: config.temperature.map(|number| number.0),
        top_p: config.top_p.map(|number| number.0),
        top_k: natural(config.top_k, "generationConfig.topK")?,
        seed: config.seed.map(|seed| seed.0),
        frequency_penalty: penalty(config.frequency_penalty),
        presence_penalty: penalty(config.presence_penalty),
        ..Sampling::default()
    };
    request.max_tokens = natural(config.max_output_tokens, "generationConfig.maxOutputTokens")?;
    request.stop = config.stop_sequences.take().unwrap_or_default();
    request.reasoning = config.thinking_config.take().map(reasoning).transpose()?.flatten();
    request.format = format(config, uncarried)?;
    Ok(())
}

/// Notes the fields of `config` that no other dialect has, where they say anything.
fn note_uncarried(config: &GenerationConfig<'_>, uncarried: &mut Vec<String>) {
    let modalities = config.response_modalities.as_deref().unwrap_or_default();
    let other_than_text = modalities.iter().any(|modality| !modality.0.eq_ignore_ascii_case("TEXT"));
    let fields = [
        (config.candidate_count.is_some_and(|count| count != Whole(1)), "candidateCount"),
        (config.response_logprobs == Some(true), "responseLogprobs"),
        (config.logprobs.is_some_and(|count| count != Whole(0)), "logprobs"),
        (other_than_text, "responseModalities"),
        (config.speech_config.is_some(), "speechConfig"),
        (config.enable_enhanced_civic_answers == Some(true), "enableEnhancedCivicAnswers"),
    ];
    let there = fields.iter().filter(|(there, _)| *there);
    uncarried.extend(there.map(|(_, name)| format!("generationConfig.{name}")));
}

/// A number that is not negative.
pub(super) fn natural(told: Option<Whole>, path: &str) -> Result<Option<u64>, BadRequest> {
    let Some(number) = told else { return Ok(None) };
    number.natural().map(Some).ok_or_else(|| bad(path, "must be 0 or more"))
}

/// A level and a budget; a budget of 0 is none, one of -1 as much as the model likes.
fn reasoning(config: ThinkingConfig<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let level = config.thinking_level.map(|level| level.0.to_ascii_lowercase()).unwrap_or_default();
    let mut told = Reasoning::default();
    match config.thinking_budget.map(|budget| budget.0) {
        None => {}
        Some(-1) => told.effort = Some(Effort::Adaptive),
        Some(0) => told.effort = Some(Effort::None),
        Some(budget) => {
            let problem = "must be -1, 0 or a number of tokens";
            let budget =
                u64::try_from(budget).map_err(|_| bad("generationConfig.thinkingConfig.thinkingBudget", problem));
            told.budget_tokens = Some(budget?);
        }
    }
    match level.as_str() {
        "" | "thinking_level_unspecified" => {}
        "minimal" | "low" | "medium" | "high" | "xhigh" => told.effort = Effort::from_word(&level),
        _ => {
            let problem = "must be MINIMAL, LOW, MEDIUM or HIGH";
            return Err(bad("generationConfig.thinkingConfig.thinkingLevel", problem));
        }
    }
    Ok(Some(told).filter(|told| *told != Reasoning::default()))
}

fn format(config: GenerationConfig<'_>, uncarried: &mut Vec<String>) -> Result<Option<Format>, BadRequest> {
    let schema = config.response_json_schema.or_else(|| config.response_schema.map(schema::lowered));
    if let Some(schema) = schema {
        if !Json::is_object(&schema) {
            return Err(bad("generationConfig.responseJsonSchema", "must be a schema: an object"));
        }
        return Ok(Some(Format::JsonSchema { name: None, description: None, schema, strict: None }));
    }
    match config.response_mime_type.as_ref().map_or("", |mime_type| mime_type.0.as_ref()) {
        "" | "text/plain" => Ok(None),
        "application/json" => Ok(Some(Format::JsonObject)),
        _ => {
            uncarried.push("generationConfig.responseMimeType".to_owned());
            Ok(None)
        }
    }
}
