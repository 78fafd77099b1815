"""The forms in which prompts, completions and credentials are sent: none of their text is in an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from metrics.events import Kind, validate_many
from metrics.events.privacy import Cleaner
from tests.support.policies import make_ingest_policy
from tests.support.validated import event_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "zebra"
TOKEN = 777001  # the id of a token
MESSAGES = [{"role": "system", "content": SECRET}, {"role": "user", "content": [{"type": "text", "text": SECRET}]}]
TOKENS = [{"token": SECRET, "logprob": -0.1, "top_logprobs": [{"token": SECRET}]}]


def clean(metadata: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    dropped: list[str] = []
    return Cleaner().clean(metadata, dropped, []), dropped


def attribute(key: str, text: str = SECRET) -> dict[str, Any]:
    """An attribute in the JSON form of OpenTelemetry."""
    return {"key": key, "value": {"stringValue": text}}


BODIES: dict[str, dict[str, Any]] = {
    "OpenAI, chat": {"choices": [{"message": {"content": SECRET}, "logprobs": {"content": TOKENS}}]},
    "OpenAI, stream": {"choices": [{"delta": {"content": SECRET}}], "logprobs": TOKENS},
    "OpenAI, Responses": {"instructions": SECRET, "output": [{"content": [{"text": SECRET}]}], "input": SECRET},
    "OpenAI, realtime": {"type": "response.audio_transcript.delta", "delta": SECRET, "item": {"content": [SECRET]}},
    "OpenAI, transcription": {"text": SECRET, "segments": [{"tokens": [TOKEN]}], "words": [{"word": SECRET}]},
    "Anthropic": {"content": [{"type": "text", "text": SECRET}, {"type": "thinking", "thinking": SECRET}]},
    "Gemini": {
        "candidates": [{"content": {"parts": [{"text": SECRET}]}}],
        "groundingMetadata": {"webSearchQueries": [SECRET], "groundingChunks": [{"web": {"title": SECRET}}]},
        "logprobsResult": {"chosenCandidates": [{"token": SECRET}]},
    },
    "Ollama": {"response": SECRET, "message": {"content": SECRET}, "context": [TOKEN], "logprobs": TOKENS},
    "vLLM": {"prompt_token_ids": [TOKEN], "prompt_logprobs": [{TOKEN: 1}], "x": {"decoded_token": SECRET}},
    "llama.cpp": {"content": SECRET, "tokens": [TOKEN], "completion_probabilities": TOKENS, "input_prefix": SECRET},
    "TGI": {"generated_text": SECRET, "details": {"prefill": [{"id": TOKEN}], "tokens": [{"id": TOKEN}]}},
    "SGLang": {"output_ids": [TOKEN], "meta_info": {"output_token_logprobs": [[-1, TOKEN, SECRET]]}},
    "LiteLLM": {
        "messages": MESSAGES,
        "error_str": "BadRequestError: " + json.dumps({"input": MESSAGES}),
        "hidden_params": {"additional_headers": {"authorization": SECRET, "set-cookie": SECRET}},
        "metadata": {"prompt_management_metadata": {"prompt_variables": {"name": SECRET}}},
        "guardrail_information": {"guardrail_request": {"x": SECRET}},
        "proxy_server_request": {"headers": {"x": SECRET}, "body": {"messages": MESSAGES}},
    },
    "Langfuse": {"body": {"input": MESSAGES, "output": SECRET}, "expectedOutput": SECRET},
    "LangSmith": {
        "inputs": {"messages": [[{"kwargs": {"content": SECRET}}]]},
        "serialized": {"kwargs": {"template": SECRET}},
        "events": [{"name": "new_token", "kwargs": {"token": SECRET, "chunk": SECRET}}],
    },
    "OpenInference": {
        "attributes": {
            "input.value": SECRET,
            "llm.prompt_template.variables": json.dumps({"x": SECRET}),
            "retrieval.documents.0.document.content": SECRET,
            "llm.input_messages.0.message.content": SECRET,
        }
    },
    "OpenLLMetry": {
        "spans": [
            {
                "attributes": [attribute("gen_ai.prompt.0.content"), attribute("traceloop.entity.input")],
                "events": [{"name": "gen_ai.content.prompt", "attributes": [attribute("gen_ai.prompt")]}],
            }
        ]
    },
}
# A request that is printed in another language or format.
PRINTED = {
    "Python": f"ChatCompletionMessage(content='{SECRET}', role='assistant')",
    "a tuple": str([("prompt", SECRET)]),
    "a list of pairs": json.dumps([["prompt", SECRET]], indent=1),
    "JSON in JSON in JSON": json.dumps(json.dumps({"a": json.dumps({"content": SECRET})})),
    "OpenTelemetry": json.dumps([attribute("gen_ai.prompt")], indent=1),
    "JavaScript": f'{{prompt: "{SECRET}"}}',
    "JavaScript, lines": f"{{\n  role: 'user',\n  content: '{SECRET}'\n}}",
    "Go": f"&{{Model:m Messages:[{{Role:user Content:{SECRET}}}]}}",
    "Ruby": f'{{"prompt"=>"{SECRET}"}}',
    "Ruby, object": f'#<Message @role="user", @content="{SECRET}">',
    "Java": f"Message(role=user, content={SECRET})",
    "Rust": f'Message {{ role: "user", content: "{SECRET}" }}',
    "C#": f"Message {{ Role = User, Content = {SECRET} }}",
    "PHP": f"Array\n(\n    [prompt] => {SECRET}\n)",
    "TOML": f'prompt = "{SECRET}"',
    "a query": f"prompt={SECRET}&n=1",
    "a URL": f"https://example.com/ask?n=1&messages%5B0%5D%5Bcontent%5D={SECRET}",
    "JSON in a URL": "data=%7B%22prompt%22%3A%22" + SECRET + "%22%7D",
    "HTML": f"<pre>{{&quot;prompt&quot;: &quot;{SECRET}&quot;}}</pre>",
    "a header": f"Authorization: Bearer {SECRET}",
    "a URL of Google": f"429 for url: https://example.com/v1:generateContent?key={SECRET}",
    "a conversation": json.dumps([{"from": "human", "value": SECRET}]),
}


class TheContent:
    @pytest.mark.parametrize("kind", [Kind.INFERENCE, Kind.ERROR])
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    def test_of_a_body_is_not_stored_in_any_field(self, kind: Kind, body: dict[str, Any]) -> None:
        texts = json.dumps(body), repr(body), json.dumps(body, indent=1)
        for fields in (
            body,
            {"metadata": body},
            {"metadata": {"a": [body]}},
            {"metadata": {"note": texts[0]}},
            *({"error_message": f"HTTP 422: {text}"} for text in texts),
            {"stack_trace": f"Traceback:\n  File 'x'\n{texts[2]}"},
        ):
            result = validate_many(kind, [{"error_type": "E"} | fields | {"model_name": "m"}], AT, make_ingest_policy())
            stored = repr(event_of(result))
            assert result.dropped
            assert SECRET not in stored
            assert str(TOKEN) not in stored

    @pytest.mark.parametrize("text", PRINTED.values(), ids=PRINTED)
    def test_of_a_printed_request_is_not_stored(self, text: str) -> None:
        line = text.replace("\n", " ")[:180]
        for fields, path in (
            ({"metadata": {"note": text}}, "metadata.note"),
            ({"error_message": f"Failed: {text}"}, "error_message"),
            ({"stack_trace": f"Traceback:\n{text}"}, "stack_trace"),
            ({"error_type": f"E {line}"}, "error_type"),
            ({"endpoint": f"/v1?{line}"}, "endpoint"),
        ):
            for kind in (Kind.INFERENCE, Kind.ERROR):
                item = {"error_type": "E"} | fields | {"model_name": "m"}
                result = validate_many(kind, [item], AT, make_ingest_policy())
                assert SECRET not in repr(event_of(result))
                assert result.dropped == {path: 1}


class AnObjectThatNamesAValue:
    @pytest.mark.parametrize(
        "pair",
        [
            attribute("gen_ai.prompt"),
            attribute("gen_ai.completion.0.content"),
            {"name": "prompt", "value": SECRET},
            {"k": "messages", "v": SECRET},
            {"Key": "Prompt", "Value": SECRET},
            {"tag_key": "input", "tag_value": SECRET},
            {"value": [SECRET], "attribute": "messages"},
            {"key": "prompt", "type": "string", "vStr": SECRET},
            {"type": "text", "data": SECRET},
            {"from": "human", "value": SECRET},
            {"role": "user", "value": {"a": {"b": SECRET}}},
            {"key": "authorization", "value": SECRET},
            {"columns": ["n", "prompt"], "data": [[1, SECRET]]},
        ],
    )
    def test_loses_the_value_if_it_is_content(self, pair: dict[str, Any]) -> None:
        for metadata in (pair, {"attributes": [pair]}, {"attributes": json.dumps([pair])}):
            cleaned, dropped = clean(metadata)
            assert SECRET not in repr(cleaned)
            assert len(dropped) == 1

    @pytest.mark.parametrize(
        "pair",
        [
            {"name": "env", "value": "prod"},
            {"key": "model", "value": {"stringValue": "m"}},
            {"name": "output", "value": 120, "unit": "tokens"},
            {"type": "prompt", "value": {"intValue": 12}},
            {"name": "chat", "kind": "client", "duration": 3},
            {"from": "us", "to": "eu", "value": "x"},
        ],
    )
    def test_is_kept_if_the_value_is_not_or_is_a_number(self, pair: dict[str, Any]) -> None:
        assert clean({"tags": [pair]}) == ({"tags": [pair]}, [])


class AListOfTwo:
    def test_loses_the_content_that_its_first_entry_names(self) -> None:
        cleaned, dropped = clean({"a": [["prompt", SECRET], ["env", "prod"]]})
        assert cleaned == {"a": [["prompt"], ["env", "prod"]]}
        assert dropped == ["metadata.a"]

    @pytest.mark.parametrize(
        "entries", [["text", "image"], ["chat", "prod"], ["prompt", 12], ["what is the answer", "b"], ["completion"]]
    )
    def test_is_kept_if_it_is_a_list_of_names_or_counts(self, entries: list[Any]) -> None:
        assert clean({"tags": entries}) == ({"tags": entries}, [])


class ANameOfTextThatIsCounted:
    @pytest.mark.parametrize(
        "key", ["logprobs", "top_logprobs", "words", "segments", "tokens", "token", "chunks", "passages", "chat"]
    )
    def test_drops_text_and_keeps_numbers(self, key: str) -> None:
        for content in (SECRET, [SECRET], [TOKEN], {"a": SECRET}, {"a": [TOKEN]}):
            assert clean({key: content}) == ({}, [f"metadata.{key}"])
        for count in (5, 0.5, True, None, {"total": 5}):
            assert clean({key: count}) == ({key: count}, [])
        assert clean({"note": f"{key}=5, n=2"})[1] == []
        assert clean({"note": f"{key}={SECRET}"})[1] == ["metadata.note"]


class ACredential:
    @pytest.mark.parametrize(
        "key",
        [
            *("headers", "authorization", "api_key", "apiKey", "x-api-key", "OPENAI_API_KEY", "token", "access_token"),
            *("password", "cookie", "Set-Cookie", "client_secret", "http.request.header.authorization", "llm.headers"),
        ],
    )
    def test_is_dropped(self, key: str) -> None:
        assert clean({key: SECRET}) == ({}, [f"metadata.{key}"])

    @pytest.mark.parametrize(
        "key", ["api_key_id", "user_api_key_alias", "token_type", "eos_token", "gen_ai.token.type", "header_size"]
    )
    def test_is_not_what_describes_one(self, key: str) -> None:
        assert clean({key: "x"}) == ({key: "x"}, [])


class TheTextOfAnError:
    @pytest.mark.parametrize(
        "text",
        [
            "Error code: 429 - {'error': {'message': 'Rate limit', 'type': 'tokens', 'param': 'messages', 'code': 1}}",
            'HTTP 400, body: {"error":{"message":"bad model"}}',
            "400, message='Bad Request', url=URL('http://example.com/')",
            '{"detail":[{"loc":["body","messages"],"msg":"Field required","type":"missing"}]}',
            "This model's maximum context length is 4096 tokens (4000 in the messages, 96 in the completion).",
            "Unexpected token: '<' in JSON at position 0",
            "Invalid prompt: too long",
            "too many tokens (input=9000, output=20)",
            "{'choices': None, 'error': {'code': 502}}",
            "KeyError: 'content'",
        ],
    )
    def test_is_kept_if_it_quotes_none(self, text: str) -> None:
        assert Cleaner().without_content("error_message", text) is text

    def test_is_kept_around_the_invalid_value_of_pydantic(self) -> None:
        text = "1 error\n  Invalid [type=string_type, input_value='{}', input_type=str]\nmodel\n  Field required"
        kept = Cleaner().without_content("error_message", text.replace("{}", SECRET))
        assert kept == text.replace("'{}'", "[content dropped]")

    def test_is_kept_before_what_it_quotes(self) -> None:
        text = 'Failed: {"detail": [{"msg": "Field required", "input": {"messages": ["' + SECRET + '"]}}]}'
        kept = Cleaner().without_content("error_message", text)
        assert kept == 'Failed: {"detail": [{"msg": "Field required", "input":[content dropped]'

    def test_continues_with_the_next_frame_of_a_stack_trace(self) -> None:
        frames = [
            "Traceback (most recent call last):",
            '  File "a.py", line 1, in ask',
            f'    create(messages=[{{"content": "{SECRET}"}}])',
            f"           {SECRET}",
            '  File "b.py", line 2, in create',
            "openai.RateLimitError: Rate limit",
        ]
        kept = Cleaner().without_content("stack_trace", "\n".join(frames))
        assert kept.split("\n") == [*frames[:2], "    create(messages=[content dropped]", *frames[4:]]

    def test_has_its_halves_of_characters_in_a_form_that_a_database_holds(self) -> None:
        text = r'{"a": "\ud83d", "\u0063ontent": "' + SECRET + '"}'
        assert Cleaner().without_content("error_message", text) == r'{"a": "\ud83d", "content":[content dropped]'

    @pytest.mark.parametrize(
        "unit", ['"', "\\", '\\"', "\\u", "a", " ", "\n", ",  ", "[(", "a=", '"key":"prompt",', "%2"]
    )
    def test_is_searched_in_a_time_that_grows_with_its_length(self, unit: str) -> None:
        for start in ("", '"', '"prompt"', "{"):
            Cleaner().without_content("stack_trace", start + unit * (64_000 // len(unit)) + "=")
