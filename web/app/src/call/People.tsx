import {
  type Call,
  type CallSnapshot,
  type Member,
  type Participant,
  type Role,
  type Room,
  trackOf,
} from "@parlor/sdk";
import { EllipsisVertical, MicOff, VideoOff } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { SafetyItems } from "../safety/SafetyItems.tsx";
import { Alert, Button, Dialog, Field, IconButton, MENU, MENU_ITEM } from "../ui.tsx";
import { HostItems } from "./HostItems.tsx";
import { useRoom } from "./hooks.ts";
import { NONE, type Rights, rank, rightsOver } from "./rights.ts";

interface PeopleProps {
  room: Room;
  call: Call;
  snapshot: CallSnapshot;
  /** The server refused something. */
  onProblem: (problem: string) => void;
}

export function People({ room, call, snapshot, onProblem }: PeopleProps) {
  const { members, role } = useRoom(room);
  const [removing, setRemoving] = useState<Member | null>(null);
  const act = (work: Promise<void>) => void work.catch((error) => onProblem(sentence(error)));
  const sorted = [...members].sort(
    (a, b) => rank(b.role) - rank(a.role) || a.nickname.localeCompare(b.nickname),
  );
  return (
    <>
      <ul className="min-h-0 flex-1 overflow-y-auto p-2">
        {sorted.map((member) => {
          const participant = snapshot.participants.find(({ userId }) => userId === member.userId) ?? null;
          const mine = member.userId === room.me?.id;
          const rights = mine ? NONE : rightsOver(member, role, room.me?.role ?? "member");
          return (
            <Person key={member.userId} member={member} participant={participant} mine={mine}>
              {mine ? null : (
                <Actions
                  roomId={room.id}
                  member={member}
                  participant={participant}
                  rights={rights}
                  onMute={(trackId, muted) => act(call.muteTrack(trackId, muted))}
                  onRole={(next) => act(room.acts.setRole(member.userId, next))}
                  onRemove={() => setRemoving(member)}
                />
              )}
            </Person>
          );
        })}
      </ul>
      {removing ? <RemoveDialog room={room} member={removing} onClose={() => setRemoving(null)} /> : null}
    </>
  );
}

function Person({
  member,
  participant,
  mine,
  children,
}: {
  member: Member;
  participant: Participant | null;
  mine: boolean;
  children: React.ReactNode;
}) {
  const { t } = useTranslation();
  const off = (source: "microphone" | "camera") => {
    const track = participant && trackOf(participant, source);
    return !track?.active || track.muted || track.mutedByHost;
  };
  const role = t(`people.${member.role}`);
  return (
    <li
      className="flex min-h-14 items-center gap-2 rounded-xl px-2"
      data-testid="person"
      data-nickname={member.nickname}
      data-role={member.role}
    >
      <span
        aria-hidden
        className="grid size-9 shrink-0 place-items-center rounded-full bg-tint text-sm font-semibold text-accent uppercase"
      >
        {member.nickname.slice(0, 2)}
      </span>
      <div className="min-w-0 flex-1">
        <p className="truncate font-medium">
          {member.nickname}
          {mine ? <span className="text-soft"> ({t("common.you")})</span> : null}
        </p>
        {role || !participant ? (
          <p className="text-sm text-soft">
            {[role, participant ? "" : t("people.notInCall")].filter(Boolean).join(" · ")}
          </p>
        ) : null}
      </div>
      {participant && off("microphone") ? (
        <MicOff role="img" aria-label={t("people.microphoneOff")} className="size-5 text-soft" />
      ) : null}
      {participant && off("camera") ? (
        <VideoOff role="img" aria-label={t("people.cameraOff")} className="size-5 text-soft" />
      ) : null}
      {children}
    </li>
  );
}

interface ActionsProps {
  roomId: string;
  member: Member;
  participant: Participant | null;
  rights: Rights;
  onMute: (trackId: string, muted: boolean) => void;
  onRole: (role: Role) => void;
  onRemove: () => void;
}

function Actions({ roomId, member, participant, rights, onMute, onRole, onRemove }: ActionsProps) {
  const { t } = useTranslation();
  const labels = {
    microphone: [t("people.muteMicrophone"), t("people.unmuteMicrophone")],
  } as const;
  // Not modal: a modal menu locks the page's scrolling with a style of its own, which the page's policy forbids. And in its place,
  // not at the end of the page: there it would be outside every landmark.
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton label={t("people.actions", { name: member.nickname })} data-testid="person-actions">
          <EllipsisVertical aria-hidden className="size-5" />
        </IconButton>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content align="end" sideOffset={4} collisionPadding={8} className={MENU}>
        {(["microphone"] as const).map((source) => {
          const track = participant && trackOf(participant, source);
          if (!rights.mute || !track || (!track.active && !track.mutedByHost)) return null;
          return (
            <DropdownMenu.Item
              key={source}
              className={MENU_ITEM}
              onSelect={() => onMute(track.trackId, !track.mutedByHost)}
              data-testid={`mute-${source}`}
            >
              {labels[source][track.mutedByHost ? 1 : 0]}
            </DropdownMenu.Item>
          );
        })}
        {participant ? <HostItems participant={participant} /> : null}
        {rights.setRole ? (
          <DropdownMenu.Item
            className={MENU_ITEM}
            onSelect={() => onRole(member.role === "moderator" ? "member" : "moderator")}
            data-testid="set-role"
          >
            {t(member.role === "moderator" ? "people.makeMember" : "people.makeModerator")}
          </DropdownMenu.Item>
        ) : null}
        {rights.remove ? (
          <DropdownMenu.Item
            className={`${MENU_ITEM} text-danger-ink`}
            onSelect={onRemove}
            data-testid="remove"
          >
            {t("people.remove")}
          </DropdownMenu.Item>
        ) : null}
        {rights.mute ? <DropdownMenu.Separator className="mx-2 my-1 h-px bg-line" /> : null}
        <SafetyItems target={{ userId: member.userId, nickname: member.nickname, roomId }} />
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

function RemoveDialog({ room, member, onClose }: { room: Room; member: Member; onClose: () => void }) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await room.acts.removeMember(member.userId, reason);
      onClose();
    } catch (error) {
      setProblem(sentence(error));
    }
  };
  return (
    <Dialog title={t("people.removeTitle", { name: member.nickname })} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-5">
        <Field
          label={t("people.removeReason")}
          value={reason}
          maxLength={200}
          onChange={(event) => setReason(event.target.value)}
          data-testid="remove-reason"
        />
        {problem ? <Alert>{problem}</Alert> : null}
        <div className="flex justify-end gap-2">
          <Button tone="plain" onClick={onClose}>
            {t("common.cancel")}
          </Button>
          <Button tone="danger" type="submit" data-testid="remove-confirm">
            {t("people.removeConfirm")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
