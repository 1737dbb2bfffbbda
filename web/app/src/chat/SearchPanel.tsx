import { type Found, type FoundPage, search } from "@parlor/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, IconButton, Spinner } from "../ui.tsx";
import { Card } from "./Card.tsx";
import { useChat } from "./view.ts";

/** Words that narrow a search, each with the sign behind which its value is written. */
const FILTERS = ["from:", "has:image", "has:file", "has:link", "mentions:me", "before:", "after:"] as const;

/** Finds messages by their words, and goes there. */
export function SearchPanel({ initial }: { initial: string }) {
  const { t } = useTranslation();
  const { room } = useChat();
  const [text, setText] = useState(initial);
  const [isHere, setHere] = useState(true);
  const [asked, setAsked] = useState(initial.trim());
  const id = useId();
  const query = asked && isHere ? `${asked} in:${room.id}` : asked;
  const { data, error, isFetching, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["search", query],
    queryFn: ({ pageParam }) => search(parlor.api, query, { cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (page: FoundPage) => page.next,
    enabled: query !== "",
    retry: false,
  });
  const found = data?.pages.flatMap(({ items }) => items) ?? [];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setAsked(text.trim());
  };
  const add = (filter: string) => {
    setText((before) => `${before.trimEnd()} ${filter}`.trimStart());
    document.getElementById(`${id}-q`)?.focus();
  };
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <search className="shrink-0 border-b border-line p-3">
        <form onSubmit={submit} className="grid gap-2">
          <div className="flex gap-1">
            <input
              // biome-ignore lint/a11y/noAutofocus: the user has just asked to search.
              autoFocus
              id={`${id}-q`}
              type="search"
              enterKeyHint="search"
              className="field"
              aria-label={t("chat.search.field")}
              aria-describedby={`${id}-hint`}
              placeholder={t("chat.search.placeholder")}
              value={text}
              onChange={(event) => setText(event.target.value)}
              data-testid="search-text"
            />
            <IconButton
              type="submit"
              tone="accent"
              label={t("chat.search.submit")}
              data-testid="search-submit"
            >
              <Search aria-hidden className="size-5" />
            </IconButton>
          </div>
          <fieldset className="flex flex-wrap gap-1">
            <legend className="sr-only">{t("chat.search.filters")}</legend>
            {FILTERS.map((filter) => (
              <button
                key={filter}
                type="button"
                className="min-h-7 rounded-full border border-line px-2.5 font-mono text-xs hover:border-accent hover:bg-sunken pointer-coarse:min-h-9"
                onClick={() => add(filter)}
              >
                {filter}
              </button>
            ))}
          </fieldset>
          <p id={`${id}-hint`} className="sr-only">
            {t("chat.search.hint")}
          </p>
          <label className="flex min-h-8 items-center gap-2 text-sm">
            <input
              type="checkbox"
              className="size-4 accent-accent"
              checked={isHere}
              onChange={(event) => setHere(event.target.checked)}
            />
            {t("chat.search.here")}
          </label>
        </form>
      </search>
      <div className="min-h-0 flex-1 overflow-y-auto p-3" aria-busy={isFetching}>
        {error ? <Alert>{sentence(error)}</Alert> : null}
        <p role="status" className="pb-2 text-sm text-soft empty:pb-0">
          {data && found.length === 0 && !hasNextPage ? t("chat.search.none") : null}
        </p>
        <ul className="grid gap-2">
          {found.map((one) => (
            <Hit key={one.message.id} found={one} />
          ))}
        </ul>
        {isFetching && !data ? <Spinner /> : null}
        {hasNextPage ? (
          <Button
            tone="quiet"
            className="mt-2 w-full text-accent!"
            disabled={isFetching}
            onClick={() => void fetchNextPage()}
          >
            {t("chat.search.more")}
          </Button>
        ) : null}
      </div>
    </div>
  );
}

function Hit({ found: { message, snippet } }: { found: Found }) {
  const { room, jump, openThread } = useChat();
  const navigate = useNavigate();
  const open = () => {
    if (message.roomId !== room.id) return void navigate(`/r/${message.roomId}?message=${message.id}`);
    if (message.content.threadId) openThread(message.content.threadId);
    else jump(message.id);
  };
  return (
    <Card
      message={message}
      text={snippet.text ? <Marked {...snippet} /> : undefined}
      onOpen={open}
      testId="hit"
    />
  );
}

/** The text with what was found in it marked; places are counted in Unicode scalars. */
function Marked({ text, hits }: Found["snippet"]) {
  const signs = [...text];
  const pieces = [];
  let end = 0;
  for (const { start, length } of hits) {
    if (start < end) continue;
    pieces.push(signs.slice(end, start).join(""));
    pieces.push(
      <mark key={start} className="rounded-sm bg-warn-ground text-warn-ink">
        {signs.slice(start, start + length).join("")}
      </mark>,
    );
    end = start + length;
  }
  return (
    <>
      {pieces}
      {signs.slice(end).join("")}
    </>
  );
}
