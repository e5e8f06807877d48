"""OpenVoice V2: the base engine's speech, converted to the voice of a reference recording.

Voice conversion after Qin et al. 2023, "OpenVoice: Versatile Instant Voice Cloning".  The two
networks are computed by onnxruntime; what is around them is in numpy, so that torch is needed
once, to export them (:mod:`.export`), and never to speak.
"""
