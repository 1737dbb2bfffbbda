import type { RoomKind, RoomsWanted } from "@parlor/sdk";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Search as Glass, Plus } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { sentence } from "../errors.ts";
import { Choice } from "../hub/fields.tsx";
import { Hub } from "../hub/Hub.tsx";
import { CreateRoom } from "../pages/CreateRoom.tsx";
import { Enter } from "../pages/Enter.tsx";
import { isKindOn } from "../place/place.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Spinner } from "../ui.tsx";
import { RoomCards } from "./RoomCards.tsx";
import { useCategories } from "./words.ts";

const KINDS = ["call", "group", "forum", "broadcast", "live"] as const satisfies RoomKind[];

/** `/rooms`: public rooms, by words, category and kind. What is looked for is in the address. */
export function Directory() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Search /> : <Enter />;
}

function Search() {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const [creating, setCreating] = useState(false);
  const categories = useCategories();
  // The address follows what is typed: the router is free to be slower than the keys.
  const [wanted, setWanted] = useState(() => ({
    q: search.get("q") ?? "",
    category: search.get("category") ?? "",
    kind: search.get("kind") ?? "",
  }));
  const { q: query, category, kind } = wanted;
  const set = (name: keyof typeof wanted, value: string) => {
    const next = { ...wanted, [name]: value };
    setWanted(next);
    setSearch(
      Object.entries(next).filter(([, words]) => words !== ""),
      { replace: true },
    );
  };
  return (
    <Hub title={t("rooms.find")}>
      <div className="mb-5 flex flex-wrap items-center gap-2">
        <h1 className="mr-auto text-3xl font-bold">{t("rooms.find")}</h1>
        <Button onClick={() => setCreating(true)} data-testid="create-room">
          <Plus aria-hidden className="size-5" />
          {t("home.create")}
        </Button>
      </div>
      <search className="mb-6 grid gap-3 sm:grid-cols-[2fr_1fr_1fr]">
        <label className="grid gap-1">
          <span className="font-medium">{t("rooms.words")}</span>
          <span className="relative">
            <Glass aria-hidden className="absolute top-3 left-3 size-5 text-soft" />
            <input
              type="search"
              className="field pl-10!"
              maxLength={100}
              placeholder={t("rooms.wordsHint")}
              value={query}
              onChange={(event) => set("q", event.target.value)}
              data-testid="room-search"
            />
          </span>
        </label>
        <Choice
          label={t("rooms.categoryLabel")}
          value={category}
          options={[["", t("rooms.anyCategory")], ...categories]}
          onChange={(value) => set("category", value)}
          testId="room-category"
        />
        <Choice
          label={t("rooms.kindLabel")}
          value={kind}
          options={[
            ["", t("rooms.anyKind")],
            ...KINDS.filter(isKindOn).map((it) => [it, t(`rooms.kind.${it}`)] as const),
          ]}
          onChange={(value) => set("kind", value)}
          testId="room-kind"
        />
      </search>
      <Found query={query} category={category} kind={kind as RoomKind | ""} />
      {creating ? <CreateRoom onClose={() => setCreating(false)} /> : null}
    </Hub>
  );
}

function Found({ query, category, kind }: { query: string; category: string; kind: RoomKind | "" }) {
  const { t } = useTranslation();
  const words = useDeferredValue(query.trim());
  const wanted: RoomsWanted = {
    ...(words ? { query: words } : {}),
    ...(category ? { category } : {}),
    ...(kind ? { kind } : {}),
  };
  const found = useInfiniteQuery({
    queryKey: ["rooms", "found", wanted],
    queryFn: ({ pageParam }) => parlor.rooms.find({ ...wanted, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next,
    placeholderData: (before) => before,
  });
  const rooms = found.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <section aria-label={t("rooms.found")} aria-busy={found.isFetching}>
      <p role="status" className="sr-only">
        {found.data ? t("rooms.foundCount", { count: rooms.length }) : ""}
      </p>
      {found.error ? <Alert>{sentence(found.error)}</Alert> : null}
      {found.isPending ? <Spinner /> : null}
      {found.data && rooms.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("rooms.none")}
        </p>
      ) : null}
      <RoomCards rooms={rooms} />
      {found.hasNextPage ? (
        <Button
          tone="plain"
          className="mt-4 w-full"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
        >
          {t("rooms.more")}
        </Button>
      ) : null}
    </section>
  );
}
