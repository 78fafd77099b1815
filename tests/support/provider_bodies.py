"""Requests and responses of the APIs of OpenAI, Anthropic and Google, as a gateway would post them.

Each text of a prompt, a completion, an instruction, a tool or its result contains PRIVATE.
"""

from __future__ import annotations

from typing import Any

PRIVATE = "PRIVATE-0452"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": f"{PRIVATE} city"}}}
FUNCTION = {"name": "get_weather", "description": f"{PRIVATE} tool", "parameters": SCHEMA, "strict": True}
ARGUMENTS = f'{{"city": "{PRIVATE} Paris"}}'
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}

OPENAI_CHAT_REQUEST: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "developer", "content": f"{PRIVATE} instructions"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": f"{PRIVATE} question"}]},
        {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"{PRIVATE} result"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": f"{PRIVATE}_function"}},
    "functions": [FUNCTION],
    "function_call": {"name": f"{PRIVATE}_function"},
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
    "prediction": {"type": "content", "content": f"{PRIVATE} prediction"},
    "web_search_options": {"search_context_size": "low"},
    "temperature": 0.2,
    "stream": False,
    "max_completion_tokens": 100,
    "metadata": {"team": "search"},
}
OPENAI_CHAT_RESPONSE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": f"{PRIVATE} answer",
                "refusal": f"{PRIVATE} refusal",
                "tool_calls": [TOOL_CALL],
                "annotations": [{"type": "url_citation", "url_citation": {"title": f"{PRIVATE} title"}}],
                "audio": {"id": "audio_1", "data": PRIVATE, "transcript": f"{PRIVATE} speech"},
            },
            "logprobs": {"content": [{"token": PRIVATE, "logprob": -0.1, "bytes": None, "top_logprobs": []}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
OPENAI_COMPLETION: dict[str, Any] = {
    "model": "gpt-3.5-turbo-instruct",
    "prompt": [f"{PRIVATE} prompt"],
    "suffix": f"{PRIVATE} suffix",
    "best_of": 1,
    "choices": [{"text": f"{PRIVATE} completion", "index": 0, "logprobs": {"tokens": [PRIVATE]}}],
}
OPENAI_RESPONSES_REQUEST: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": f"{PRIVATE} instructions",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": f"{PRIVATE} question"}]},
        {"type": "function_call_output", "call_id": "call_1", "output": f"{PRIVATE} result"},
    ],
    "prompt": {"id": "pmpt_1", "version": "2", "variables": {"customer": f"{PRIVATE} customer"}},
    "tools": [
        {"type": "function", **FUNCTION},
        {"type": "mcp", "server_label": "crm", "server_url": "https://crm.test", "authorization": PRIVATE},
    ],
    "tool_choice": {"type": "function", "name": f"{PRIVATE}_function"},
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "max_output_tokens": 100,
    "previous_response_id": None,
}
OPENAI_RESPONSES_RESPONSE: dict[str, Any] = {
    **OPENAI_RESPONSES_REQUEST,
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": {"code": "server_error", "message": "The server had an error"},  # stored as the text of an error
    "incomplete_details": None,
    "instructions": [{"type": "message", "role": "developer", "content": f"{PRIVATE} instructions"}],
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": f"{PRIVATE} thought"}]},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": ARGUMENTS},
        {"type": "mcp_call", "name": "find", "arguments": ARGUMENTS, "output": f"{PRIVATE} result"},
        {"type": "code_interpreter_call", "code": f"{PRIVATE} code", "outputs": []},
        {"type": "image_generation_call", "result": PRIVATE, "revised_prompt": f"{PRIVATE} prompt"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": f"{PRIVATE} answer"}]},
    ],
    "output_text": f"{PRIVATE} answer",
    "output_parsed": {"city": f"{PRIVATE} Paris"},
    "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17},
}
ANTHROPIC_REQUEST: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "system": [{"type": "text", "text": f"{PRIVATE} instructions", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": f"{PRIVATE} question"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "w", "input": {"city": PRIVATE}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": f"{PRIVATE} result"}]},
    ],
    "tools": [{"name": "get_weather", "description": f"{PRIVATE} tool", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": f"{PRIVATE}_function"},
    "output_format": {"type": "json_schema", "schema": SCHEMA},
    "mcp_servers": [{"type": "url", "url": "https://crm.test", "name": "crm", "authorization_token": PRIVATE}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "max_tokens": 100,
    "metadata": {"user_id": "u-1"},
}
ANTHROPIC_RESPONSE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": f"{PRIVATE} thought", "signature": "s"},
        {"type": "text", "text": f"{PRIVATE} answer", "citations": [{"cited_text": f"{PRIVATE} source"}]},
        {"type": "tool_use", "id": "t", "name": "get_weather", "input": {"city": f"{PRIVATE} Paris"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5},
}
ANTHROPIC_STREAM_EVENT: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "type": "content_block_start",
    "content_block": {"type": "text", "text": f"{PRIVATE} answer"},
    "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS},
}
GEMINI_REQUEST: dict[str, Any] = {
    "model": "gemini-2.5-flash",
    "systemInstruction": {"parts": [{"text": f"{PRIVATE} instructions"}]},
    "contents": [
        {"role": "user", "parts": [{"text": f"{PRIVATE} question"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "w", "args": {"city": PRIVATE}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "w", "response": {"result": PRIVATE}}}]},
    ],
    "tools": [{"functionDeclarations": [FUNCTION]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    "generationConfig": {
        "temperature": 0.2,
        "responseMimeType": "application/json",
        "responseSchema": SCHEMA,
        "responseJsonSchema": SCHEMA,
    },
    "cachedContent": "cachedContents/1",
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
}
GEMINI_RESPONSE: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": f"{PRIVATE} answer"}, {"executableCode": {"code": PRIVATE}}],
            },
            "finishReason": "STOP",
            "groundingMetadata": {"webSearchQueries": [PRIVATE]},
        }
    ],
    "promptFeedback": {"blockReason": "SAFETY"},
    "parsed": {"city": f"{PRIVATE} Paris"},
    "automatic_function_calling_history": [{"role": "user", "parts": [{"text": f"{PRIVATE} question"}]}],
    "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r-1",
}
# As Python's SDK of Google names the fields of a request.
GEMINI_REQUEST_IN_PYTHON: dict[str, Any] = {
    "model": "gemini-2.5-flash",
    "contents": f"{PRIVATE} question",
    "config": {
        "system_instruction": f"{PRIVATE} instructions",
        "tools": [{"function_declarations": [FUNCTION]}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "response_schema": SCHEMA,
        "response_json_schema": SCHEMA,
    },
}
PROVIDER_BODIES: dict[str, dict[str, Any]] = {
    "openai chat, request": OPENAI_CHAT_REQUEST,
    "openai chat, response": OPENAI_CHAT_RESPONSE,
    "openai completion": OPENAI_COMPLETION,
    "openai responses, request": OPENAI_RESPONSES_REQUEST,
    "openai responses, response": OPENAI_RESPONSES_RESPONSE,
    "anthropic, request": ANTHROPIC_REQUEST,
    "anthropic, response": ANTHROPIC_RESPONSE,
    "anthropic, stream": ANTHROPIC_STREAM_EVENT,
    "gemini, request": GEMINI_REQUEST,
    "gemini, request in python": GEMINI_REQUEST_IN_PYTHON,
    "gemini, response": GEMINI_RESPONSE,
}
