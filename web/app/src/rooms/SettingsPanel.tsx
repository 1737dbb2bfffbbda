import { may, type Permits, type Role, type RoomChange, type RoomInfo, type Trust } from "@parlor/sdk";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Check, Choice, Lines, Part } from "../hub/fields.tsx";
import { isOn } from "../place/place.ts";
import { parlor } from "../session.tsx";
import { Alert, Button, Field } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";
import { Ends } from "./Ends.tsx";
import { HowLoud } from "./HowLoud.tsx";
import { RoomFacts } from "./RoomFacts.tsx";
import { isRefusal, useCategories } from "./words.ts";

const LEVELS = ["general", "mature", "adult", "extreme"] as const;
const TRUSTS = ["new", "established", "trusted"] as const satisfies Trust[];
const GRANTS = ["member", "trusted", "moderator", "admin", "owner"] as const satisfies Role[];
const SLOW = [0, 5, 10, 30, 60, 300, 900, 3_600, 21_600] as const;
const KEPT = ["24h", "days(7)", "days(30)", "days(90)", "days(365)", "forever"] as const;
const PERMITS = ["post", "call", "share", "record", "invite"] as const satisfies (keyof Permits)[];

/** What the owner and admins settle; others read it. */
export function SettingsPanel(props: PanelProps) {
  const { room, who } = props;
  const mayEdit = may(who, "EditRoom") && room.archivedAt === null;
  return (
    <div className="grid gap-6">
      <HowLoud roomId={room.id} />
      {mayEdit ? <SettingsForm {...props} /> : <RoomFacts room={room} />}
      <Ends {...props} />
    </div>
  );
}

function SettingsForm({ room, onNotice }: PanelProps) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  // The room as we saw it when we began: somebody else may change it meanwhile, and is not to be overwritten unseen.
  const [base, setBase] = useState<RoomInfo>(room);
  const [change, setChange] = useState<RoomChange>({});
  const set = (more: RoomChange) => setChange((before) => ({ ...before, ...more }));
  const save = useMutation({
    mutationFn: async () => {
      try {
        return await parlor.rooms.edit(base, meant(change));
      } catch (error) {
        if (isRefusal(error, "precondition_failed")) setBase(await parlor.rooms.look(base.id));
        throw error;
      }
    },
    onSuccess: (saved) => {
      setBase(saved);
      setChange({});
      onNotice(t("rooms.saved"));
      void queries.invalidateQueries({ queryKey: ["room", room.id] });
      void parlor.inbox.refresh().catch(() => undefined);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const dirty = Object.keys(meant(change)).length > 0;
  return (
    <form onSubmit={submit} className="grid gap-6" data-testid="settings">
      <About base={base} change={change} set={set} />
      <WhoComesIn base={base} change={change} set={set} />
      <WhatIsSaid base={base} change={change} set={set} />
      <WhoMay base={base} change={change} set={set} />
      {save.error ? (
        <div data-testid="settings-problem">
          <Alert>
            {isRefusal(save.error, "precondition_failed") ? t("rooms.conflict") : sentence(save.error)}
          </Alert>
        </div>
      ) : null}
      <div className="sticky bottom-0 -mx-3 flex justify-end gap-2 border-t border-line bg-surface px-3 py-3">
        <Button tone="plain" disabled={!dirty} onClick={() => setChange({})}>
          {t("rooms.undo")}
        </Button>
        <Button type="submit" disabled={!dirty || save.isPending} data-testid="settings-save">
          {t("rooms.save")}
        </Button>
      </div>
    </form>
  );
}

/** An empty PIN is none that was typed; `null` takes it away. */
function meant({ pin, ...rest }: RoomChange): RoomChange {
  return pin === undefined || pin === "" ? rest : { pin, ...rest };
}

interface PartProps {
  base: RoomInfo;
  change: RoomChange;
  set: (change: RoomChange) => void;
}

function About({ base, change, set }: PartProps) {
  const { t } = useTranslation();
  const categories = useCategories();
  return (
    <Part title={t("rooms.partAbout")}>
      <Field
        label={t("create.name")}
        value={change.name ?? base.name}
        maxLength={100}
        required
        onChange={(event) => set({ name: event.target.value })}
        data-testid="settings-name"
      />
      <Lines
        label={t("rooms.description")}
        value={change.description ?? base.settings.description}
        longest={1000}
        onChange={(description) => set({ description })}
        testId="settings-description"
      />
      <Choice
        label={t("rooms.categoryLabel")}
        value={(change.category === undefined ? base.settings.category : change.category) ?? ""}
        options={[["", t("rooms.noCategory")], ...categories]}
        onChange={(category) => set({ category: category || null })}
      />
      <Field
        label={t("rooms.slug")}
        hint={t("rooms.slugHint")}
        pattern="[a-z0-9\-]{3,64}"
        maxLength={64}
        value={(change.slug === undefined ? base.slug : change.slug) ?? ""}
        onChange={(event) => set({ slug: event.target.value || null })}
      />
    </Part>
  );
}

function WhoComesIn({ base, change, set }: PartProps) {
  const { t } = useTranslation();
  const { settings } = base;
  return (
    <Part title={t("rooms.partDoor")}>
      <Choice
        label={t("create.visibility")}
        value={change.visibility ?? base.visibility}
        options={(["public", "unlisted", "private"] as const).map(
          (it) => [it, `${t(`rooms.visibility.${it}`)}: ${t(`rooms.visibilityHint.${it}`)}`] as const,
        )}
        onChange={(visibility) => set({ visibility })}
        testId="settings-visibility"
      />
      <Check
        label={t("rooms.joinRequests")}
        hint={t("rooms.joinRequestsHint")}
        on={change.joinRequests ?? settings.joinRequests}
        onChange={(joinRequests) => set({ joinRequests })}
        testId="settings-asking"
      />
      <Pin hasPin={settings.hasPin} change={change} set={set} />
      <Choice
        label={t("rooms.minTrustToJoin")}
        hint={t("rooms.trustHint")}
        value={change.minTrustToJoin ?? settings.minTrustToJoin}
        options={TRUSTS.map((it) => [it, t(`rooms.trust.${it}`)] as const)}
        onChange={(minTrustToJoin) => set({ minTrustToJoin })}
      />
      <Field
        label={t("rooms.maxParticipants")}
        type="number"
        min={1}
        value={String(change.maxParticipants ?? base.maxParticipants)}
        onChange={(event) => set({ maxParticipants: Number(event.target.value) })}
        data-testid="settings-most"
      />
    </Part>
  );
}

/** The server tells nobody what the PIN is: one sets another, or none. */
function Pin({ hasPin, change, set }: { hasPin: boolean } & Omit<PartProps, "base">) {
  const { t } = useTranslation();
  const removed = change.pin === null;
  return (
    <div className="grid gap-2">
      <Field
        label={t(hasPin ? "rooms.newPin" : "rooms.pin")}
        hint={t(hasPin && !removed ? "rooms.hasPin" : "rooms.pinHint")}
        inputMode="numeric"
        pattern="[0-9]{4,12}"
        maxLength={12}
        autoComplete="off"
        value={change.pin ?? ""}
        onChange={(event) => set({ pin: event.target.value })}
        data-testid="settings-pin"
      />
      {hasPin ? (
        <Check label={t("rooms.noPin")} on={removed} onChange={(none) => set({ pin: none ? null : "" })} />
      ) : null}
    </div>
  );
}

function WhatIsSaid({ base, change, set }: PartProps) {
  const { t } = useTranslation();
  const { settings } = base;
  const slow = change.slowModeS ?? settings.slowModeS;
  const kept = change.retention ?? settings.retention;
  const words = (seconds: number) =>
    seconds === 0
      ? t("rooms.noSlow")
      : seconds < 60
        ? t("rooms.seconds", { count: seconds })
        : seconds < 3_600
          ? t("rooms.minutes", { count: seconds / 60 })
          : t("rooms.hours", { count: seconds / 3_600 });
  const slows = SLOW.some((it) => it === slow) ? SLOW : [...SLOW, slow];
  const keeps: readonly string[] = KEPT.some((it) => it === kept) ? KEPT : [...KEPT, kept];
  return (
    <Part title={t("rooms.partText")}>
      <Choice
        label={t("rooms.slowMode")}
        hint={t("rooms.slowModeHint")}
        value={String(slow)}
        options={slows.map((it) => [String(it), words(it)] as const)}
        onChange={(value) => set({ slowModeS: Number(value) })}
        testId="settings-slow"
      />
      <Choice
        label={t("rooms.minTrustToPost")}
        value={change.minTrustToPost ?? settings.minTrustToPost}
        options={TRUSTS.map((it) => [it, t(`rooms.trust.${it}`)] as const)}
        onChange={(minTrustToPost) => set({ minTrustToPost })}
      />
      <Choice
        label={t("rooms.levelLabel")}
        hint={t("rooms.levelHint")}
        value={change.contentLevel ?? settings.contentLevel}
        options={LEVELS.map((it) => [it, t(`rooms.level.${it}`)] as const)}
        onChange={(contentLevel) => set({ contentLevel })}
        testId="settings-level"
      />
      <Choice
        label={t("rooms.retention")}
        hint={t("rooms.retentionHint")}
        value={kept}
        options={keeps.map((it) => [it, keptWords(it, t)] as const)}
        onChange={(retention) => set({ retention })}
      />
    </Part>
  );
}

/** `24h`, `days(30)` or `forever`, in words. */
export function keptWords(kept: string, t: TFunction): string {
  const days = /^days\((\d+)\)$/.exec(kept)?.[1];
  if (days) return t("rooms.keptDays", { count: Number(days) });
  if (kept === "24h") return t("rooms.keptDay");
  return kept === "forever" ? t("rooms.keptForever") : t("rooms.keptNot");
}

function isOffered(permit: (typeof PERMITS)[number]): boolean {
  return permit === "share" || permit === "record" ? isOn(permit === "share" ? "share" : "recording") : true;
}

function WhoMay({ base, change, set }: PartProps) {
  const { t } = useTranslation();
  return (
    <Part title={t("rooms.partMay")}>
      {PERMITS.filter(isOffered).map((permit) => (
        <Choice
          key={permit}
          label={t(`rooms.permit.${permit}`)}
          value={change.permits?.[permit] ?? base.settings.permits[permit]}
          options={GRANTS.filter((role) => permit !== "record" || GRANTS.indexOf(role) > 1).map(
            (role) => [role, t(`rooms.atLeast.${role}`)] as const,
          )}
          onChange={(role) => set({ permits: { ...change.permits, [permit]: role } })}
          testId={`permit-${permit}`}
        />
      ))}
    </Part>
  );
}
