import { type ComponentProps, useId } from "react";
import { useTranslation } from "react-i18next";
import { Dialog } from "../ui.tsx";
import type { Capture, LocalMedia } from "./media.ts";

const canChooseSpeaker = typeof HTMLMediaElement !== "undefined" && "setSinkId" in HTMLMediaElement.prototype;

interface DevicesProps {
  media: LocalMedia;
  capture: Capture;
}

export function DevicesDialog({ onClose, ...rest }: DevicesProps & { onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("devices.title")} onClose={onClose}>
      <DevicePickers {...rest} />
    </Dialog>
  );
}

export function DevicePickers({ media, capture }: DevicesProps) {
  const { t } = useTranslation();
  return (
    <div className="grid gap-4">
      <Picker
        label={t("devices.camera")}
        kind="videoinput"
        devices={capture.devices}
        value={capture.cameraId ?? ""}
        onChange={(event) => void media.choose("camera", event.target.value)}
        data-testid="choose-camera"
      />
      <Picker
        label={t("devices.microphone")}
        kind="audioinput"
        devices={capture.devices}
        value={capture.microphoneId ?? ""}
        onChange={(event) => void media.choose("microphone", event.target.value)}
        data-testid="choose-microphone"
      />
      {canChooseSpeaker && capture.devices.some(({ kind }) => kind === "audiooutput") ? (
        <Picker
          label={t("devices.speaker")}
          kind="audiooutput"
          devices={capture.devices}
          value={capture.speakerId ?? "default"}
          onChange={(event) => media.chooseSpeaker(event.target.value)}
          data-testid="choose-speaker"
        />
      ) : null}
    </div>
  );
}

function Picker({
  label,
  kind,
  devices,
  ...rest
}: ComponentProps<"select"> & { label: string; kind: MediaDeviceKind; devices: MediaDeviceInfo[] }) {
  const { t } = useTranslation();
  const id = useId();
  const found = devices.filter((device) => device.kind === kind && device.deviceId !== "");
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <select id={id} className="field" disabled={found.length === 0} {...rest}>
        {found.length === 0 ? <option value="">{t("devices.none")}</option> : null}
        {found.map((device, index) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || t("devices.unnamed", { kind: label, number: index + 1 })}
          </option>
        ))}
      </select>
    </div>
  );
}
