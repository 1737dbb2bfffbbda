import type { CallType } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog, Spinner } from "../ui.tsx";
import { startCall } from "./start.ts";

interface RingDialogProps {
  roomId: string;
  type: CallType;
  onClose: () => void;
}

/** In a group: whom to ring, or to join the call without ringing anybody. */
export function RingDialog({ roomId, type, onClose }: RingDialogProps) {
  const { t } = useTranslation();
  const { user } = useSession();
  const navigate = useNavigate();
  const [picked, setPicked] = useState<string[]>([]);
  const [problem, setProblem] = useState<unknown>(null);
  const { data, isPending } = useQuery({
    queryKey: ["roster", roomId, "ring"],
    queryFn: () => parlor.members.list(roomId),
  });
  const others = data?.items.filter(({ userId }) => userId !== user?.id) ?? [];
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setProblem(null);
    try {
      await startCall(roomId, type, picked);
      onClose();
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <Dialog title={t("ringing.whom")} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className="grid gap-4">
        {isPending ? <Spinner /> : null}
        <fieldset className="max-h-72 overflow-y-auto">
          <legend className="sr-only">{t("ringing.whom")}</legend>
          {others.map(({ userId, nickname }) => (
            <label
              key={userId}
              className="flex min-h-12 items-center gap-3 rounded-xl px-2 hover:bg-sunken has-checked:bg-tint"
            >
              <input
                type="checkbox"
                className="size-5 shrink-0 accent-accent"
                checked={picked.includes(userId)}
                onChange={() =>
                  setPicked(
                    picked.includes(userId) ? picked.filter((id) => id !== userId) : [...picked, userId],
                  )
                }
                data-testid="ring-pick"
                data-nickname={nickname}
              />
              <Disc name={nickname} size="size-8" />
              <span className="min-w-0 truncate">{nickname}</span>
            </label>
          ))}
        </fieldset>
        {data && others.length === 0 ? <p className="text-soft">{t("ringing.nobody")}</p> : null}
        {problem ? <Alert>{sentence(problem)}</Alert> : null}
        <div className="flex flex-wrap justify-end gap-2">
          <Button tone="plain" onClick={() => void navigate(`/r/${roomId}/call`)} data-testid="join-quietly">
            {t("ringing.quietly")}
          </Button>
          <Button type="submit" disabled={picked.length === 0} data-testid="ring-them">
            {t("ringing.ring")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
