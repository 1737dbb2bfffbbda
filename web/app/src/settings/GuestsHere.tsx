import { UserPlus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Avatar } from "../account/Avatar.tsx";
import { useAct } from "../account/act.ts";
import { EnterAsGuest } from "../account/EnterAsGuest.tsx";
import { useMe } from "../account/me.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Dialog } from "../ui.tsx";
import { Badge, Section } from "./parts.tsx";

/** The identities that this browser keeps: one in the cookie, and guests beside it. */
export function GuestsHere() {
  const { t } = useTranslation();
  const { user } = useSession();
  const me = useMe();
  const { busy, refusal, run } = useAct();
  const { guests } = parlor;
  const [kept, setKept] = useState(() => guests?.all ?? []);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<{ id: string; nickname: string } | null>(null);
  if (!user || !guests) return null;
  const main = guests.main;
  const goOn = (id: string | null) => {
    guests.goOnAs(id);
    // Everything of this tab belongs to whom it was: it begins anew.
    location.assign("/");
  };
  const end = async (id: string) => {
    const done = await run(() => parlor.api.endGuest(id));
    setKept(guests.all);
    if (done) setEnding(null);
  };
  const list = [
    ...(main ? [{ id: main.id, nickname: main.nickname, isMain: true }] : []),
    ...kept.map(({ id, nickname }) => ({ id, nickname, isMain: false })),
  ];
  return (
    <Section title={t("settings.guests.title")} intro={t("settings.guests.intro")} testId="guests">
      <ul className="grid gap-2">
        {list.map(({ id, nickname, isMain }) => (
          <li
            key={id}
            className="flex flex-wrap items-center gap-3 rounded-xl border border-line px-4 py-3"
            data-testid="identity"
            data-nickname={nickname}
            data-here={id === user.id}
          >
            <Avatar name={nickname} />
            <p className="flex min-w-0 flex-1 basis-40 flex-wrap items-center gap-x-2 font-medium">
              <span className="truncate">{nickname}</span>
              {id === user.id ? <Badge on>{t("settings.guests.here")}</Badge> : null}
              {id === user.id && me?.account ? (
                <Badge on={false}>{t("settings.guests.account")}</Badge>
              ) : null}
            </p>
            {id === user.id ? null : (
              <div className="flex gap-2">
                {isMain ? null : (
                  <Button
                    tone="plain"
                    aria-label={t("settings.guests.end", { name: nickname })}
                    onClick={() => setEnding({ id, nickname })}
                    data-testid="identity-end"
                  >
                    {t("settings.guests.endShort")}
                  </Button>
                )}
                <Button
                  tone="plain"
                  aria-label={t("settings.guests.goOn", { name: nickname })}
                  onClick={() => goOn(isMain ? null : id)}
                  data-testid="identity-switch"
                >
                  {t("settings.guests.goOnShort")}
                </Button>
              </div>
            )}
          </li>
        ))}
      </ul>
      <Button onClick={() => setAdding(true)} className="justify-self-start" data-testid="identity-add">
        <UserPlus aria-hidden className="size-5" />
        {t("settings.guests.add")}
      </Button>
      {adding ? (
        <Dialog title={t("settings.guests.addTitle")} onClose={() => setAdding(false)}>
          <EnterAsGuest
            hint={t("settings.guests.addText")}
            enter={async (entry) => {
              await parlor.api.enterBeside(entry);
              location.assign("/");
            }}
          />
        </Dialog>
      ) : null}
      {ending ? (
        <Dialog
          title={t("settings.guests.endTitle", { name: ending.nickname })}
          onClose={() => setEnding(null)}
        >
          <div className="grid gap-4">
            <p className="text-soft">{t("settings.guests.endText", { name: ending.nickname })}</p>
            {refusal ? <Alert>{refusal}</Alert> : null}
            <Button
              tone="danger"
              disabled={busy}
              onClick={() => void end(ending.id)}
              data-testid="identity-end-confirm"
            >
              {t("settings.guests.endShort")}
            </Button>
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}
