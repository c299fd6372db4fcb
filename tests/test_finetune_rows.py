"""Files of every format and form become rows; what is wrong with one is said with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune.config import DataConfig, Objective
from finetune.errors import ConfigError, DataError
from finetune.rows import (
    ChatRow,
    PairRow,
    PromptRow,
    Rows,
    TextRow,
    VoteRow,
    prompt_key,
    read_rows,
    split_rows,
)
from finetune.rows_schema import row_key

USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}


def jsonl(folder: Path, records: Sequence[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def read(path: Path, objective: Objective = "sft", **data: Any) -> Rows:
    return read_rows(path, objective, DataConfig(**data))


def reasons(rows: Rows) -> dict[int, str]:
    return {one.number: one.reason for one in rows.problems}


def test_the_form_is_found_by_the_columns(tmp_path: Path) -> None:
    def only(record: dict[str, Any], objective: Objective) -> Any:
        rows = read(jsonl(tmp_path, [record]), objective)
        return rows.rows[0]

    asked = ({"role": "user", "content": "Hi"},)
    chat = ChatRow(1, (USER, ASSISTANT))
    assert only({"messages": [USER, ASSISTANT]}, "sft") == chat
    assert only({"prompt": "Hi", "completion": "Hello"}, "sft") == chat
    pair = {"prompt": "Hi", "chosen": "Hello", "rejected": "No"}
    assert only(pair, "dpo") == only(pair, "reward") == PairRow(1, asked, "Hello", "No")
    vote = {"prompt": "Hi", "completion": "Hello", "label": False}
    assert only(vote, "kto") == VoteRow(1, asked, "Hello", False)
    assert only({"text": "Hello"}, "pretrain") == TextRow(1, "Hello")
    assert only({"prompt": "Hi"}, "grpo") == PromptRow(1, asked)
    assert only({"messages": [USER, ASSISTANT]}, "rloo") == PromptRow(1, asked)


def test_a_pair_makes_two_votes(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"prompt": "Hi", "chosen": "Hello", "rejected": "No"}])
    rows = read(path, "kto").rows
    assert rows == [VoteRow(1, (USER,), "Hello", True), VoteRow(1, (USER,), "No", False)]


def test_answers_may_be_lists_of_messages(tmp_path: Path) -> None:
    no = {"role": "assistant", "content": "No"}
    whole = {"chosen": [USER, ASSISTANT], "rejected": [USER, no]}
    parted = {"prompt": [USER], "chosen": [ASSISTANT], "rejected": [no]}
    for record in (whole, parted, {**whole, "prompt": "Hi"}):
        rows = read(jsonl(tmp_path, [record]), "dpo")
        assert rows.rows == [PairRow(1, (USER,), "Hello", "No")]
    rows = read(jsonl(tmp_path, [{"prompt": [USER], "completion": [ASSISTANT]}]))
    assert rows.rows == [ChatRow(1, (USER, ASSISTANT))]


def test_transcripts_of_human_and_assistant(tmp_path: Path) -> None:
    start = "\n\nHuman: One?\n\nAssistant: 1\n\nHuman: Two?\n\nAssistant:"
    record = {"chosen": f"{start} 2\n\nAssistant: Yes", "rejected": f"{start} 3"}
    (row,) = read(jsonl(tmp_path, [record]), "dpo").rows
    assert isinstance(row, PairRow)
    assert [message["content"] for message in row.prompt] == ["One?", "1", "Two?"]
    assert (row.chosen, row.rejected) == ("2\n\nYes", "3")


def test_columns_template_and_system(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"question": "Why {x}?", "reply": "So"}])
    columns = {"prompt": "question", "completion": "reply"}
    rows = read(path, columns=columns, prompt_template="Q: {prompt}", system="Be brief")
    (row,) = rows.rows
    assert isinstance(row, ChatRow)
    system, user, _ = row.messages
    assert system == {"role": "system", "content": "Be brief"}
    assert user["content"] == "Q: Why {x}?"
    # The template may take other columns of the file instead.
    rows = read(path, columns={"completion": "reply"}, prompt_template="{question} Answer:")
    assert isinstance(rows.rows[0], ChatRow)
    assert rows.rows[0].messages[0]["content"] == "Why {x}? Answer:"
    with pytest.raises(ConfigError, match="prompt_template holds no"):
        read(path, columns=columns, prompt_template="no field")


def test_a_system_message_of_the_row_stays(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Mine"}
    rows = read(jsonl(tmp_path, [{"messages": [system, USER, ASSISTANT]}]), system="Other")
    assert rows.rows == [ChatRow(1, (system, USER, ASSISTANT))]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": []}, "holds no message: the last must be of the assistant"),
        ({"messages": [USER]}, "ends with one of the user"),
        ({"messages": [ASSISTANT, USER]}, "message 1 of messages is of the assistant"),
        ({"messages": [USER, USER, ASSISTANT]}, "message 2 of messages is of the user"),
        ({"messages": [USER, {"role": "bot", "content": "x"}]}, "has the role 'bot'"),
        ({"messages": [USER, {"role": "assistant"}]}, "content is missing"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "content is null"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "message 2 of messages is"),
        ({"messages": [USER, "Hello"]}, "is a text, not {role, content}"),
        ({"messages": "Hello"}, "no JSON list of messages"),
        ({"messages": 5}, "is a number, not a list of messages"),
        (
            {"message": [USER, ASSISTANT]},
            "messages is missing; messages may be 'message', then add",
        ),
    ],
)
def test_bad_conversations(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    rows = read(jsonl(tmp_path, [{"messages": [USER, ASSISTANT]}, record]))
    assert len(rows.rows) == 1
    assert reason in reasons(rows)[2]


@pytest.mark.parametrize(
    ("objective", "record", "reason"),
    [
        ("sft", {"prompt": "", "completion": "x"}, "prompt is empty"),
        ("sft", {"prompt": "x", "completion": " \n"}, "completion is empty"),
        ("sft", {"prompt": "x", "completion": 7}, "completion is a number, not text"),
        ("sft", {"prompt": None, "completion": "x"}, "prompt is null, not text"),
        ("dpo", {"prompt": "x", "chosen": "a", "rejected": "a "}, "chosen and rejected are identi"),
        ("dpo", {"prompt": "x", "chosen": "a"}, "rejected is missing; name the column of rejected"),
        (
            "dpo",
            {"prompt": "x", "chosen": [USER, ASSISTANT], "rejected": "b"},
            "answer different prompts",
        ),
        ("kto", {"prompt": "x", "completion": "a", "label": "true"}, 'label is "true": true or'),
        ("kto", {"prompt": "x", "completion": "a", "label": 1}, "label is 1: true or false"),
        ("kto", {"prompt": "x", "completion": "a", "label": None}, "label is null"),
        ("pretrain", {"text": ""}, "text is empty"),
    ],
)
def test_bad_rows(
    tmp_path: Path, objective: Objective, record: dict[str, Any], reason: str
) -> None:
    good = {
        "prompt": "p",
        "completion": "c",
        "chosen": "yes",
        "rejected": "no",
        "label": True,
        "text": "t",
    }
    rows = read(jsonl(tmp_path, [good, {**good, "label": False}, record]), objective)
    assert reason in reasons(rows)[3]
    assert [row.number for row in rows.rows] == [1, 2]


def test_lines_that_are_no_json_cost_themselves_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"messages": [USER, ASSISTANT]}).encode()
    lines = [b"\xef\xbb\xbf" + good, b"", b'{"a": ', b"caf\xe9", b"[1]", b"3", good, good]
    lines[-1] = good.replace(b"Hi", b"\\ud83d")
    lines.append(good.replace(b"Hi", b"\\ud83d\\ude42"))
    path.write_bytes(b"\r\n".join(lines))
    rows = read(path)
    assert [row.number for row in rows.rows] == [1, 7, 9]
    found = reasons(rows)
    assert "is not JSON: Expecting value at column" in found[3]
    assert "is not UTF-8 (byte 0xe9)" in found[4]
    assert found[5].startswith("is a list")
    assert found[6].startswith("is a number")
    assert found[8].startswith("holds half of a character")


def test_a_file_that_is_no_file_of_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "rows.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"rows are read from \.jsonl"):
        read(tmp_path / "rows.xlsx")
    path = tmp_path / "list.jsonl"
    path.write_text('[{"text": "a"}]')
    with pytest.raises(DataError, match="one JSON list"):
        read(path)
    path.write_text("text", encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16"):
        read(path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    for content, said in ((b"", "is empty"), (b"x\n", "every row of it is bad")):
        (tmp_path / "rows.jsonl").write_bytes(content)
        rows = read(tmp_path / "rows.jsonl")
        assert not rows.rows
        assert said in reasons(rows)[0]


def test_votes_of_one_class_are_named(tmp_path: Path) -> None:
    votes = [{"prompt": "x", "completion": str(n), "label": True} for n in range(3)]
    rows = read(jsonl(tmp_path, votes), "kto")
    assert reasons(rows) == {0: "every vote is true: kto needs disliked answers as well"}


def test_columns_of_no_form_name_the_forms_and_what_to_type(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"text": "turn it on", "intent": "light"}])
    with pytest.raises(DataError) as caught:
        read(path)
    said = str(caught.value)
    assert "has the columns intent, text; objective sft needs messages, or prompt and" in said
    assert "data.columns.prompt=text" in said
    assert "data.columns.completion=intent" in said
    with pytest.raises(DataError, match=r"no column questions: questions may be 'text'|name the"):
        read(path, columns={"prompt": "questions"})
    with pytest.raises(ConfigError, match="did you mean completion"):
        read(path, columns={"completions": "intent"})


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    words = ["true", "FALSE", "1", "0", "Yes", "no"]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["prompt", "completion", "label"])
        for word in words:
            writer.writerow(["two\nlines; one cell", "ok", word])
        writer.writerow(["p", "c", "maybe"])
    rows = read(path, "kto")
    assert [row.label for row in rows.rows if isinstance(row, VoteRow)] == [True, False] * 3
    assert [row.number for row in rows.rows] == [2, 4, 6, 8, 10, 12]
    assert "true, false, 1, 0, yes or no" in reasons(rows)[14]


def test_csv_with_conversations_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["messages"], [json.dumps([USER, ASSISTANT])], ["[{"]])
    rows = read(path)
    assert rows.rows == [ChatRow(2, (USER, ASSISTANT))]
    assert "no JSON list of messages" in reasons(rows)[3]


def test_bad_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'prompt,completion\na,b\nc\nd,e,f\ncaf\xe9,x\n"open,y\nz,z\n')
    rows = read(path)
    assert [row.number for row in rows.rows] == [2]
    found = reasons(rows)
    assert found[3].startswith("has 1 cells where the header has 2")
    assert found[4].startswith("has 3 cells")
    assert "byte 0xe9" in found[5]
    assert found[6].startswith("is not CSV")
    path.write_bytes(b"prompt,prompt,completion\na,b,c\n")
    assert "names a column twice: prompt" in reasons(read(path))[1]


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    table = arrow.table({"messages": [[USER, ASSISTANT], [USER]], "more": [1, 2]})
    parquet.write_table(table, path)
    rows = read(path)
    assert rows.rows == [ChatRow(1, (USER, ASSISTANT))]
    assert "ends with one of the user" in reasons(rows)[2]
    path.write_bytes(b"PAR1 but not quite")
    with pytest.raises(DataError, match="is not Parquet, or damaged"):
        read(path)


def test_texts_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# B")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.TXT").write_text("C")
    (tmp_path / ".hidden.md").write_text("no")
    (tmp_path / "a.md").write_bytes(b"\xff")
    rows = read(tmp_path, "pretrain")
    assert rows.rows == [TextRow(2, "# B"), TextRow(3, "C")]
    assert "a.md is not UTF-8" in reasons(rows)[1]
    before = rows.sha256
    (tmp_path / "b.md").write_text("# B changed")
    assert read(tmp_path, "pretrain").sha256 != before


def test_the_split_keeps_prompts_together() -> None:
    def row(number: int, prompt: str, answer: str) -> ChatRow:
        user = {"role": "user", "content": prompt}
        return ChatRow(number, (user, {"role": "assistant", "content": answer}))

    rows = [
        row(n, f"Prompt  {n % 40}" if n % 2 else f"prompt {n % 40}", str(n)) for n in range(200)
    ]
    train, validation = split_rows(rows, 0.2, seed=1)
    assert len(train) + len(validation) == 200
    assert 30 <= len(validation) <= 40
    assert not {prompt_key(one) for one in train} & {prompt_key(one) for one in validation}
    assert split_rows(rows, 0.2, seed=1) == (train, validation)
    assert split_rows(rows, 0.2, seed=2) != (train, validation)
    with pytest.raises(DataError, match="all rows have one prompt"):
        split_rows([row(1, "a", "b"), row(2, "A", "c")], 0.5, seed=0)


def test_keys_fold_case_and_white_space_and_leave_the_system_out() -> None:
    loud = {"role": "user", "content": " HI\n"}
    system = {"role": "system", "content": "x"}
    one = ChatRow(1, (USER, ASSISTANT))
    assert prompt_key(one) == prompt_key(ChatRow(2, (system, loud, ASSISTANT)))
    assert row_key(one) == row_key(ChatRow(3, (loud, ASSISTANT)))
    assert row_key(one) != row_key(ChatRow(4, (USER, {"role": "assistant", "content": "Bye"})))
