import { type Belonging, may, outranks, ROLES, type Role, rolesToGive } from "@parlor/sdk";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { EllipsisVertical, MicOff } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { sentence } from "../errors.ts";
import { Disc } from "../hub/fields.tsx";
import { isOn } from "../place/place.ts";
import { SafetyItems } from "../safety/SafetyItems.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, IconButton, MENU, MENU_ITEM, Spinner } from "../ui.tsx";
import type { PanelProps } from "./Drawer.tsx";
import { type Measure, MeasureDialog } from "./MeasureDialog.tsx";

/** What of a room's events says that its list of members is another now. */
const CHANGES = ["member_joined", "member_left", "member_role", "member_muted", "room_owner"];

/** Who belongs to the room, and what one may do about them. */
export function MembersPanel({ room, who, onNotice }: PanelProps) {
  const { t } = useTranslation();
  const { user } = useSession();
  const queries = useQueryClient();
  const [measure, setMeasure] = useState<{ kind: Measure; member: Belonging } | null>(null);
  const key = ["roster", room.id];
  const roster = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => parlor.members.list(room.id, pageParam || undefined),
    initialPageParam: "",
    getNextPageParam: ({ next }) => next,
  });
  useEffect(
    () =>
      parlor.socket.on("frame", ({ roomId, type }) => {
        if (roomId === room.id && CHANGES.includes(type))
          void queries.invalidateQueries({ queryKey: ["roster", room.id] });
      }),
    [queries, room.id],
  );
  const members = (roster.data?.pages.flatMap(({ items }) => items) ?? []).toSorted(
    (a, b) => ROLES.indexOf(b.role) - ROLES.indexOf(a.role) || a.nickname.localeCompare(b.nickname),
  );
  const act = async (work: Promise<void>, done: string) => {
    try {
      await work;
      onNotice(done);
    } catch (error) {
      onNotice(sentence(error));
    }
    await queries.invalidateQueries({ queryKey: key });
  };
  return (
    <div className="grid gap-2">
      {roster.error ? <Alert>{sentence(roster.error)}</Alert> : null}
      {roster.isPending ? <Spinner /> : null}
      <ul>
        {members.map((member) => (
          <li
            key={member.userId}
            className="flex items-center gap-3 rounded-xl p-2"
            data-testid="member"
            data-nickname={member.nickname}
            data-role={member.role}
          >
            <span className="relative">
              <Disc name={member.nickname} />
              {member.online ? (
                <span className="absolute -right-0.5 -bottom-0.5 size-3 rounded-full border-2 border-surface bg-live">
                  <span className="sr-only">{t("rooms.online")}</span>
                </span>
              ) : null}
            </span>
            <p className="min-w-0 flex-1">
              <span className="flex items-center gap-1 truncate font-medium">
                <span className="truncate">{member.nickname}</span>
                {member.userId === user?.id ? <span className="text-soft">({t("common.you")})</span> : null}
                {member.mutedUntil ? (
                  <>
                    <MicOff aria-hidden className="size-4 shrink-0 text-danger-ink" />
                    <span className="sr-only">{t("rooms.muted")}</span>
                  </>
                ) : null}
              </span>
              <span className="block text-sm text-soft">{t(`rooms.role.${member.role}`)}</span>
            </p>
            {member.userId === user?.id ? null : (
              <Actions
                room={room}
                who={who}
                member={member}
                onNotice={onNotice}
                onMeasure={(kind) => setMeasure({ kind, member })}
                onRole={(role) =>
                  void act(
                    parlor.members.setRole(room.id, member.userId, role),
                    t("rooms.roleGiven", { name: member.nickname, role: t(`rooms.role.${role}`) }),
                  )
                }
                onVoice={() =>
                  void act(
                    parlor.members.mute(room.id, member.userId, null),
                    t("rooms.unmuted", { name: member.nickname }),
                  )
                }
              />
            )}
          </li>
        ))}
      </ul>
      {roster.hasNextPage ? (
        <Button tone="plain" onClick={() => void roster.fetchNextPage()}>
          {t("rooms.more")}
        </Button>
      ) : null}
      {measure ? (
        <MeasureDialog
          roomId={room.id}
          kind={measure.kind}
          member={measure.member}
          onDone={(notice) => {
            onNotice(notice);
            setMeasure(null);
            void queries.invalidateQueries({ queryKey: key });
            void queries.invalidateQueries({ queryKey: ["bans", room.id] });
          }}
          onClose={() => setMeasure(null)}
        />
      ) : null}
    </div>
  );
}

interface ActionsProps extends PanelProps {
  member: Belonging;
  onMeasure: (measure: Measure) => void;
  onRole: (role: Role) => void;
  onVoice: () => void;
}

function Actions({ room, who, member, onNotice, onMeasure, onRole, onVoice }: ActionsProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const below = outranks(who, member.role);
  const roles = room.archivedAt ? [] : rolesToGive(who, member.role);
  const write = async () => {
    try {
      const { room: direct } = await parlor.direct.open(member.userId);
      await parlor.inbox.refresh().catch(() => undefined);
      await navigate(`/r/${direct.id}`);
    } catch (error) {
      onNotice(sentence(error));
    }
  };
  const item = (testId: string, label: string, onSelect: () => void, danger = false) => (
    <DropdownMenu.Item
      className={`${MENU_ITEM} ${danger ? "text-danger-ink!" : ""}`}
      onSelect={onSelect}
      data-testid={testId}
    >
      {label}
    </DropdownMenu.Item>
  );
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton label={t("rooms.actions", { name: member.nickname })} data-testid="member-actions">
          <EllipsisVertical aria-hidden className="size-5" />
        </IconButton>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="end" className={MENU}>
          {isOn("directMessages") ? item("write-to", t("direct.write"), () => void write()) : null}
          {roles.map((role) => item(`role-${role}`, t(`rooms.makeRole.${role}`), () => onRole(role)))}
          {may(who, "TransferRoom") && !room.archivedAt
            ? item("transfer", t("rooms.measure.transfer.act"), () => onMeasure("transfer"))
            : null}
          {below && may(who, "MuteMember")
            ? member.mutedUntil
              ? item("unmute", t("rooms.giveVoice"), onVoice)
              : item("mute", t("rooms.measure.mute.act"), () => onMeasure("mute"))
            : null}
          {below && may(who, "KickMember")
            ? item("kick", t("rooms.measure.kick.act"), () => onMeasure("kick"), true)
            : null}
          {below && may(who, "RemoveMember")
            ? item("ban", t("rooms.measure.ban.act"), () => onMeasure("ban"), true)
            : null}
          <DropdownMenu.Separator className="my-1 h-px bg-line" />
          <SafetyItems target={{ userId: member.userId, nickname: member.nickname, roomId: room.id }} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
