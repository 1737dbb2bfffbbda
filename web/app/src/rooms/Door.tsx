import type { SeenRoom } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Hourglass } from "lucide-react";
import { type FormEvent, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Lines } from "../hub/fields.tsx";
import { KindIcon } from "../hub/kinds.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, Field } from "../ui.tsx";
import { isRefusal, useCategoryWord } from "./words.ts";

/** Before a room that one does not belong to: what it is, and how to come in. */
export function Door({ room, onInside }: { room: SeenRoom; onInside: () => void }) {
  const { t } = useTranslation();
  const word = useCategoryWord();
  const [pin, setPin] = useState("");
  const { hasPin, joinRequests, description, category, contentLevel, minTrustToJoin } = room.settings;
  const inside = async () => {
    await parlor.inbox.refresh().catch(() => undefined);
    onInside();
  };
  const join = useMutation({
    mutationFn: () => parlor.rooms.join(room.id, hasPin ? pin : undefined),
    onSuccess: inside,
  });
  const asks = joinRequests || isRefusal(join.error, "approval_required");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    join.mutate();
  };
  return (
    <div className="mx-auto grid w-full max-w-lg gap-5 p-4 sm:py-12" data-testid="door">
      <div className="flex items-center gap-4">
        <span className="grid size-14 shrink-0 place-items-center rounded-2xl bg-tint text-accent">
          <KindIcon kind={room.kind} className="size-7" />
        </span>
        <div className="min-w-0">
          <h1 className="text-2xl font-bold wrap-anywhere">{room.name}</h1>
          <p className="text-soft">
            {t(`rooms.kind.${room.kind}`)} · {t("rooms.memberCount", { count: room.members })}
          </p>
        </div>
      </div>
      {description ? <p className="whitespace-pre-wrap wrap-anywhere">{description}</p> : null}
      <ul className="grid gap-1 text-sm text-soft">
        {category ? <li>{t("rooms.categoryIs", { category: word(category) })}</li> : null}
        {contentLevel === "general" ? null : <li>{t(`rooms.levelIs.${contentLevel}`)}</li>}
        {minTrustToJoin === "new" ? null : <li>{t(`rooms.trustToJoin.${minTrustToJoin}`)}</li>}
      </ul>
      {room.archivedAt ? <Alert>{t("rooms.isArchived")}</Alert> : null}
      {asks ? (
        <Asking roomId={room.id} onInside={() => void inside()} />
      ) : (
        <form onSubmit={submit} className="grid gap-4">
          {hasPin ? (
            <Field
              label={t("rooms.pinOfRoom")}
              inputMode="numeric"
              autoComplete="off"
              maxLength={12}
              value={pin}
              onChange={(event) => setPin(event.target.value)}
              data-testid="door-pin"
            />
          ) : null}
          {join.error ? <Alert>{sentence(join.error)}</Alert> : null}
          <Button
            type="submit"
            className="min-h-12 text-lg"
            disabled={join.isPending || (hasPin && pin.length < 4)}
            data-testid="door-join"
          >
            {t("rooms.join")}
          </Button>
        </form>
      )}
    </div>
  );
}

/** Where one asks first: a word to those who keep order, and the wait for what they say. */
export function Asking({ roomId, onInside }: { roomId: string; onInside: () => void }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [note, setNote] = useState("");
  const [denied, setDenied] = useState(false);
  const ask = useMutation({ mutationFn: () => parlor.invites.ask(roomId, note.trim()) });

  useEffect(
    () =>
      parlor.socket.on("frame", (frame) => {
        if (frame.roomId !== roomId) return;
        if (frame.type === "call.denied") setDenied(true);
        if (frame.type === "call.admitted") {
          void queries.invalidateQueries({ queryKey: ["room", roomId] });
          onInside();
        }
      }),
    [roomId, queries, onInside],
  );

  if (denied)
    return (
      <p role="status" className="rounded-xl bg-sunken p-4" data-testid="ask-denied">
        {t("rooms.denied")}
      </p>
    );
  // Asked before: the answer is still to come.
  if (ask.isSuccess || isRefusal(ask.error, "conflict"))
    return (
      <p role="status" className="flex items-center gap-3 rounded-xl bg-tint p-4" data-testid="ask-pending">
        <Hourglass aria-hidden className="size-6 shrink-0 text-accent" />
        {t("rooms.pending")}
      </p>
    );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate();
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      <p>{t("rooms.askIntro")}</p>
      <Lines label={t("rooms.note")} value={note} longest={300} onChange={setNote} testId="ask-note" />
      {ask.error ? <Alert>{sentence(ask.error)}</Alert> : null}
      <Button type="submit" className="min-h-12 text-lg" disabled={ask.isPending} data-testid="ask">
        {t("rooms.ask")}
      </Button>
    </form>
  );
}
