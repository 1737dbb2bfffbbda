import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Alert, Spinner } from "../ui.tsx";
import { Card } from "./Card.tsx";
import { useChat } from "./view.ts";

/** Events after which the list may be another. */
const CHANGES: readonly string[] = ["message_pinned", "message_edited", "message_deleted"];

/** What the room keeps in view. */
export function PinsPanel() {
  const { t } = useTranslation();
  const { room, jump } = useChat();
  const queries = useQueryClient();
  const queryKey = ["pins", room.id];
  const { data, error, isPending } = useQuery({ queryKey, queryFn: () => room.archive.pins(), staleTime: 0 });
  useEffect(
    () =>
      room.on("event", ({ type }) => {
        if (CHANGES.includes(type)) void queries.invalidateQueries({ queryKey: ["pins", room.id] });
      }),
    [room, queries],
  );
  if (error) return <Alert>{sentence(error)}</Alert>;
  if (isPending) return <Spinner />;
  if (data.length === 0) return <p className="p-6 text-center text-soft">{t("chat.pins.none")}</p>;
  return (
    <ul className="grid content-start gap-2 overflow-y-auto p-3">
      {data.map((message) => (
        <Card key={message.id} message={message} testId="pinned" onOpen={() => jump(message.id)} />
      ))}
    </ul>
  );
}
