"""Prints gap_us,payload_bytes,marker of the RTP packets of one payload type on loopback: capture.py PAYLOAD_TYPE SECONDS."""

import socket
import sys
import time

payload_type, seconds = int(sys.argv[1]), float(sys.argv[2])
SO_TIMESTAMPNS = 35  # the kernel's clock, not that of this busy script
TAG_BYTES = 10  # two Chromiums agree on AES_CM_128_HMAC_SHA1_80

sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
sniffer.bind(("lo", 0))
sniffer.settimeout(0.5)

print("gap_us,payload_bytes,marker")
last_ns = None
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        frame, ancillary, _, address = sniffer.recvmsg(2048, 256)
    except TimeoutError:
        continue
    ip = frame[14:]
    outgoing = address[2] == socket.PACKET_OUTGOING  # on loopback every packet is seen twice
    if outgoing or ip[0] >> 4 != 4 or ip[9] != socket.IPPROTO_UDP:
        continue
    udp = ip[(ip[0] & 15) * 4 :]
    rtp = udp[8 : int.from_bytes(udp[4:6], "big")]
    if len(rtp) < 12 or rtp[0] >> 6 != 2 or rtp[1] & 0x7F != payload_type:
        continue
    header = 12 + 4 * (rtp[0] & 15)
    if rtp[0] & 0x10:
        header += 4 + 4 * int.from_bytes(rtp[header + 2 : header + 4], "big")
    now_ns = int.from_bytes(ancillary[0][2][:8], "little") * 10**9 + int.from_bytes(ancillary[0][2][8:16], "little")
    gap_us = 0 if last_ns is None else round((now_ns - last_ns) / 1000)
    last_ns = now_ns
    print(f"{gap_us},{len(rtp) - header - TAG_BYTES},{rtp[1] >> 7}")
