export type Role = "owner" | "admin" | "moderator" | "trusted" | "member";
export interface User {
  id: string;
  nickname: string;
  role: Role;
}
export interface Room {
  id: string;
  kind: string;
  name: string;
  visibility: "public" | "private" | "unlisted";
  maxParticipants: number;
  createdAt: string;
}
export interface Member {
  userId: string;
  nickname: string;
  role: Role;
}
export interface Sender {
  id: string;
  nickname: string;
}
export interface Content {
  text: string;
}
export interface Message {
  id: string;
  roomId: string;
  sender: Sender;
  clientId: string | null;
  content: Content;
  replyTo: string | null;
  createdAt: string;
  editedAt: string | null;
  deleted: boolean;
}
export type TrackSource = "microphone" | "camera" | "screen";
export interface Track {
  trackId: string;
  source: TrackSource;
  active: boolean;
  muted: boolean;
  mutedByHost: boolean;
}
export interface Participant {
  participantId: string;
  userId: string;
  nickname: string;
  state: "joining" | "connected" | "lost";
  tracks: Track[];
}
export interface Slot {
  mid: string;
  kind: "audio" | "video";
  participantId: string | null;
  trackId: string | null;
  layer: string | null;
}
export interface ViewTrack {
  trackId: string;
  width: number;
  visible: boolean;
}
export interface Speaker {
  participantId: string;
  level: number;
}
