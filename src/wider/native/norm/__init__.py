"""BatchNorm in compiled code, alone and with the rectifier that follows it."""

from wider.native.norm._batch_norm import BatchNormReLU, NativeBatchNorm2d, NativeBatchNormReLU

__all__ = ["BatchNormReLU", "NativeBatchNorm2d", "NativeBatchNormReLU"]
