import type { Belonging } from "@parlor/sdk";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Choice, Lines } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { inSeconds, SPANS, type Span } from "./words.ts";

export type Measure = "kick" | "mute" | "ban" | "transfer";

/** The server's limit for a reason, in characters. */
const LONGEST = 500;

interface MeasureDialogProps {
  roomId: string;
  kind: Measure;
  member: Belonging;
  onDone: (notice: string) => void;
  onClose: () => void;
}

/** What is done about somebody, said once more before it is done. */
export function MeasureDialog({ roomId, kind, member, onDone, onClose }: MeasureDialogProps) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const [span, setSpan] = useState<Span | "">(kind === "ban" ? "day" : "hour");
  const { userId, nickname: name } = member;
  const take = useMutation({
    mutationFn: () => {
      const until = span ? inSeconds(SPANS[span]) : undefined;
      const why = reason.trim();
      switch (kind) {
        case "kick":
          return parlor.members.kick(roomId, userId, why);
        case "mute":
          return parlor.members.mute(roomId, userId, until ?? inSeconds(SPANS.fourWeeks));
        case "ban":
          return parlor.members.ban(roomId, userId, why, until);
        case "transfer":
          return parlor.rooms.transfer(roomId, userId);
      }
    },
    onSuccess: () => onDone(t(`rooms.measure.${kind}.done`, { name })),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    take.mutate();
  };
  const spans = (["tenMinutes", "hour", "day", "week", "fourWeeks"] as const).map(
    (it) => [it, t(`rooms.span.${it}`)] as const,
  );
  return (
    <Dialog title={t(`rooms.measure.${kind}.title`, { name })} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        <p>{t(`rooms.measure.${kind}.hint`, { name })}</p>
        {kind === "mute" || kind === "ban" ? (
          <Choice<Span | "">
            label={t("rooms.howLong")}
            value={span}
            options={kind === "ban" ? [...spans, ["", t("rooms.forGood")]] : spans}
            onChange={setSpan}
            testId="measure-span"
          />
        ) : null}
        {kind === "kick" || kind === "ban" ? (
          <Lines
            label={t("rooms.reason")}
            hint={t("rooms.reasonHint", { name })}
            value={reason}
            longest={LONGEST}
            rows={2}
            onChange={setReason}
            testId="measure-reason"
          />
        ) : null}
        {take.error ? <Alert>{sentence(take.error)}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button
            type="submit"
            tone={kind === "mute" ? "accent" : "danger"}
            disabled={take.isPending}
            data-testid="measure-take"
          >
            {t(`rooms.measure.${kind}.act`)}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
