import { useMutation } from "@tanstack/react-query";
import { LogOut, UserPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { useDirect } from "../hub/hooks.ts";
import { isOn } from "../place/place.ts";
import type { PanelProps } from "../rooms/Drawer.tsx";
import { HowLoud } from "../rooms/HowLoud.tsx";
import { useBlocks } from "../safety/blocks.ts";
import { useSafety } from "../safety/Safety.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Field, Spinner } from "../ui.tsx";
import { PickPeople } from "./PickPeople.tsx";

/** Who is in a conversation, and what one may do about it. */
export function DirectAbout({ room, onNotice }: PanelProps) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { report, block } = useSafety();
  const { blocks } = useBlocks();
  const navigate = useNavigate();
  const direct = useDirect(room.id);
  const [bringing, setBringing] = useState(false);
  const leave = useMutation({
    mutationFn: () => parlor.direct.leave(room.id),
    onSuccess: async () => {
      await navigate("/messages");
      await parlor.inbox.refresh().catch(() => undefined);
    },
  });
  if (!direct) return <Spinner />;
  const group = room.kind === "groupDm";
  const others = direct.people.filter(({ userId }) => userId !== user?.id);
  return (
    <div className="grid gap-5 p-4">
      {group ? <Rename key={direct.room.name} roomId={room.id} name={direct.room.name} /> : null}
      <ul className="grid gap-2">
        {others.map((person) => {
          const blocked = blocks.some(({ userId }) => userId === person.userId);
          const target = { ...person, roomId: room.id };
          return (
            <li
              key={person.userId}
              className="grid gap-2 rounded-xl border border-line p-3"
              data-testid="direct-person"
              data-nickname={person.nickname}
            >
              <p className="flex items-center gap-3 font-medium">
                <Disc name={person.nickname} />
                <span className="min-w-0 flex-1 truncate">{person.nickname}</span>
              </p>
              {person.accepted ? null : <p className="text-sm text-soft">{t("direct.notYet")}</p>}
              <div className="flex flex-wrap gap-2">
                <Button
                  tone="plain"
                  aria-label={t(blocked ? "safety.unblockOf" : "direct.blockOf", { name: person.nickname })}
                  onClick={() => block(person, !blocked)}
                  data-testid="block-person"
                >
                  {t(blocked ? "safety.unblock" : "safety.block")}
                </Button>
                {isOn("moderation") ? (
                  <Button
                    tone="plain"
                    aria-label={t("direct.reportOf", { name: person.nickname })}
                    onClick={() => report(target)}
                    data-testid="report-person"
                  >
                    {t("safety.report")}
                  </Button>
                ) : null}
              </div>
            </li>
          );
        })}
      </ul>
      <HowLoud roomId={room.id} />
      {leave.error ? <Alert>{sentence(leave.error)}</Alert> : null}
      {group ? (
        <div className="grid gap-2">
          <Button tone="plain" onClick={() => setBringing(true)} data-testid="bring">
            <UserPlus aria-hidden className="size-5" />
            {t("direct.bring")}
          </Button>
          <Button
            tone="plain"
            onClick={() => leave.mutate()}
            disabled={leave.isPending}
            data-testid="leave-group"
          >
            <LogOut aria-hidden className="size-5" />
            {t("direct.leave")}
          </Button>
        </div>
      ) : null}
      {bringing ? (
        <PickPeople
          title={t("direct.bring")}
          act={t("direct.bringThem")}
          most={9 - others.length}
          except={direct.people.map(({ userId }) => userId)}
          onPick={async (people) => {
            for (const { userId } of people) await parlor.direct.bring(room.id, userId);
            onNotice(t("direct.brought", { names: people.map(({ nickname }) => nickname).join(", ") }));
            setBringing(false);
          }}
          onClose={() => setBringing(false)}
        />
      ) : null}
    </div>
  );
}

function Rename({ roomId, name }: { roomId: string; name: string }) {
  const { t } = useTranslation();
  const [text, setText] = useState(name);
  const rename = useMutation({ mutationFn: () => parlor.direct.rename(roomId, text.trim()) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate();
  };
  return (
    <form onSubmit={submit} className="grid gap-2">
      <Field
        label={t("direct.groupName")}
        hint={t("direct.groupNameHint")}
        value={text}
        maxLength={100}
        onChange={(event) => setText(event.target.value)}
        data-testid="group-name"
      />
      {rename.error ? <Alert>{sentence(rename.error)}</Alert> : null}
      <Button
        type="submit"
        tone="plain"
        disabled={text.trim() === name || rename.isPending}
        data-testid="group-rename"
      >
        {t("direct.rename")}
      </Button>
    </form>
  );
}
