"""The app: a page on this machine that shows what a VL-JEPA predicts while a video plays."""
